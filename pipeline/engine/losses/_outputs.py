"""Losses that compare every output's activation a with 1 for the right class, 0 for the others."""

from __future__ import annotations

from abc import abstractmethod

from pipeline.engine.losses import Logits, Loss, Losses, Targets, is_target

__all__ = ["LossOfDifferences"]


class LossOfDifferences(Loss):
    """f(a - y) of every output."""

    @abstractmethod
    def terms(self, difference: Logits) -> Logits:
        """Return f(a - y)."""

    @abstractmethod
    def slopes(self, difference: Logits) -> Logits:
        """Return f'(a - y), ∇_a C of the output's term; may change its argument."""

    def value(self, logits: Logits, targets: Targets) -> Losses:
        """Return the terms of every example, combined."""
        difference = self.activations(logits) - is_target(logits, targets).to(logits.dtype)
        return self.reduce(self.terms(difference))

    def error(self, logits: Logits, targets: Targets) -> Logits:
        """Apply Σ' to ∇_a C; for the softmax it isn't diagonal: diag(a) - a aᵀ."""
        a = self.activations(logits)
        slopes = self.slopes(a - is_target(logits, targets).to(a.dtype)).mul_(self.share(logits))
        if self.output == "sigmoid":
            return slopes.mul_(a).mul_(1 - a)
        weighted = slopes.mul_(a)
        return weighted.sub_(a.mul_(weighted.sum(1, keepdim=True)))
