"""Metrics: numbers that say how well a network answers, from the classes that it predicts.

To add one: a module here with its class, and a row in tests/engine/test_metrics.py. It is logged
as split/name at the end of every epoch, name being the module's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import cast

from jaxtyping import Float, Integer
from torch import Tensor

from pipeline.config import registry

__all__ = ["Labels", "Metric", "PerMember", "Predictions", "metrics_of_split"]

Predictions = Integer[Tensor, "members examples"]
"""The class that each member finds likeliest."""
Labels = Integer[Tensor, " examples"]
"""The right classes."""
PerMember = Float[Tensor, " members"]


class Metric(ABC):
    """A number for each member."""

    splits: tuple[str, ...] = ("train", "val", "test")
    """Where it is measured."""

    @abstractmethod
    def __call__(self, predictions: Predictions, labels: Labels, num_classes: int) -> PerMember:
        """Return the metric of every member.

        Args:
            predictions: the class that each member finds likeliest.
            labels: the right classes.
            num_classes: labels go from 0 to this, exclusive.
        """


def metrics_of_split(split: str) -> Mapping[str, Metric]:
    """Return the metrics that are measured on a split: "train", "val" or "test"; by name."""
    names = registry.names("metric")
    found = {name: cast("Metric", registry.find("metric", name)()) for name in names}
    return {name: metric for name, metric in found.items() if split in metric.splits}
