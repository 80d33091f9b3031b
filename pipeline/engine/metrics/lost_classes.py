"""Classes that a network doesn't recognise."""

from __future__ import annotations

import torch

from pipeline.engine.metrics import Labels, Metric, PerMember, Predictions

__all__ = ["LostClasses"]

LOST_BELOW = 0.5
"""Share of a class's examples that must be recognised, lest it is lost."""


class LostClasses(Metric):
    """How many classes are recognised in less than half of their examples.

    A saturated output neuron shows in this long before the accuracy tells why (Problem 1.3).
    Classes without examples don't count.
    """

    splits = ("test",)

    def __call__(self, predictions: Predictions, labels: Labels, num_classes: int) -> PerMember:
        """Return the number of every member's lost classes."""
        is_class = labels.unsqueeze(1) == torch.arange(num_classes, device=labels.device)
        sizes = is_class.sum(0)
        recognised = (predictions == labels).float() @ is_class.float()
        return (recognised < LOST_BELOW * sizes).sum(1).double()
