"""Half the sum of the weights' squares."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from pipeline.engine.regularizers import Regularizer

__all__ = ["L2"]


class L2(Regularizer):
    """½Σw²."""

    def value(self, weights: Float[Tensor, "members ..."]) -> Float[Tensor, " members"]:
        """Return ½Σw²."""
        return weights.flatten(1).square().sum(1) / 2

    def gradient(self, weights: Float[Tensor, "members ..."]) -> Float[Tensor, "members ..."]:
        """Return the weights themselves, not a copy."""
        return weights
