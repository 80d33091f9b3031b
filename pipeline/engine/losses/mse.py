"""Squared differences."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from pipeline.engine.losses._outputs import LossOfDifferences

__all__ = ["Mse"]


class Mse(LossOfDifferences):
    """(a - y)² of every output."""

    def terms(
        self, difference: Float[Tensor, "members classes batch"]
    ) -> Float[Tensor, "members classes batch"]:
        """Return (a - y)²."""
        return difference.square()

    def slopes(
        self, difference: Float[Tensor, "members classes batch"]
    ) -> Float[Tensor, "members classes batch"]:
        """Return 2 (a - y)."""
        return difference.mul_(2)
