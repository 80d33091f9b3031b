"""The fast gradient sign method."""

from __future__ import annotations

from pipeline.engine.attacks import Attack, Epsilons, Examples

__all__ = ["Fgsm"]


class Fgsm(Attack):
    """x + ε sign(∂C/∂x): among all steps within ±ε, the one along which C grows the most at first.

    As in the paper the result isn't clipped to [0, 1] (Goodfellow, Shlens and Szegedy, 2015,
    section 4). An input that the loss doesn't depend on stays as it is.
    """

    def __call__(self, inputs: Examples, gradient: Examples, epsilon: Epsilons) -> Examples:
        """Return x + ε sign(∂C/∂x)."""
        return gradient.sign().mul_(epsilon).add_(inputs)
