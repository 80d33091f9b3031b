"""Share of right answers."""

from __future__ import annotations

from jaxtyping import Float, Integer, UInt8
from torch import Tensor

from pipeline.engine.metrics import Metric

__all__ = ["Accuracy"]


class Accuracy(Metric):
    """Share of the examples whose class is predicted, from 0 to 1."""

    def __call__(
        self,
        predictions: UInt8[Tensor, "members examples"],
        labels: Integer[Tensor, " examples"],
        num_classes: int,
    ) -> Float[Tensor, " members"]:
        """Return the accuracy of every member."""
        del num_classes
        return (predictions == labels).double().mean(1)
