"""Classes that a network hardly ever answers."""

from __future__ import annotations

import torch

from pipeline.engine.metrics import Labels, Metric, PerMember, Predictions

__all__ = ["IgnoredClasses"]

IGNORED_BELOW = 0.01
"""Share of a class's examples below which the network hardly ever answers it."""


class IgnoredClasses(Metric):
    """How many classes are never recognised, or in less than 1 % of their examples.

    A saturated output neuron shows in this long before the accuracy tells why (Problem 1.3).
    Classes without examples don't count.
    """

    splits = ("test",)

    def __call__(self, predictions: Predictions, labels: Labels, num_classes: int) -> PerMember:
        """Return the number of every member's ignored classes."""
        is_class = labels.unsqueeze(1) == torch.arange(num_classes, device=labels.device)
        sizes = is_class.sum(0)
        recognised = (predictions == labels).float() @ is_class.float()
        return (recognised < IGNORED_BELOW * sizes).sum(1).double()
