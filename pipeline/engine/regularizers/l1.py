"""The sum of the weights' sizes."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from pipeline.engine.regularizers import Regularizer

__all__ = ["L1"]


class L1(Regularizer):
    """Σ|w|, with the subgradient 0 at 0."""

    def value(self, weights: Float[Tensor, "members ..."]) -> Float[Tensor, " members"]:
        """Return Σ|w|."""
        return weights.flatten(1).abs().sum(1)

    def gradient(self, weights: Float[Tensor, "members ..."]) -> Float[Tensor, "members ..."]:
        """Return the sign of every weight."""
        return weights.sign()
