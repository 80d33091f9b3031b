"""Attacks: inputs that are perturbed so that a trained network errs, and how it answers them.

To add one: a module here with its class, its YAML in conf/attack, a row in
tests/engine/test_attacks.py.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import cast

from jaxtyping import Float
from torch import Tensor

from pipeline.config import registry
from pipeline.engine.metrics import Labels, PerMember, Predictions

__all__ = ["Attack", "Confidences", "Epsilons", "Examples", "adversarial_metrics", "make_attack"]

Examples = Float[Tensor, "#members examples features"]
"""A number for each input, one example per row; of each member or of all."""
Epsilons = Float[Tensor, "members 1 1"]
"""ε of each member."""
Confidences = Float[Tensor, "members examples"]
"""The output of the class that each member finds likeliest; a probability of softmax outputs."""


class Attack(ABC):
    """Moves each example within ±ε of its inputs, by the gradient of its own loss C."""

    @abstractmethod
    def __call__(self, inputs: Examples, gradient: Examples, epsilon: Epsilons) -> Examples:
        """Return every member's perturbed inputs.

        Args:
            inputs: in [0, 1].
            gradient: ∂C/∂x of each member's loss, without the regularizer's term, which no input
                changes.
            epsilon: ε of each member, 0 ≤ ε ≤ 1.
        """


def make_attack(name: str) -> Attack:
    """Return the attack of a name, which is not "none"."""
    return cast("Attack", registry.find("attack", name)())


def adversarial_metrics(
    predictions: Predictions, confidences: Confidences, labels: Labels
) -> Mapping[str, PerMember]:
    """Return every member's metrics on perturbed examples, by name.

    Args:
        predictions: the class that each member finds likeliest.
        confidences: its output.
        labels: the right classes.

    Returns:
        adversarial_accuracy, the share of right answers, from 0 to 1; adversarial_confidence, the
        mean confidence in the answers that are wrong, NaN if none is (Goodfellow, Shlens and
        Szegedy, 2015, section 4).
    """
    is_wrong = predictions != labels
    in_wrong = (confidences.double() * is_wrong).sum(1)
    return {
        "adversarial_accuracy": (predictions == labels).double().mean(1),
        "adversarial_confidence": in_wrong / is_wrong.sum(1),
    }
