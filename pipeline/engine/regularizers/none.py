"""No penalty."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.engine.regularizers import Regularizer

__all__ = ["NoPenalty"]


class NoPenalty(Regularizer):
    """No penalty."""

    def value(self, weights: Float[Tensor, "members ..."]) -> Float[Tensor, " members"]:
        """Return 0."""
        return weights.new_zeros(len(weights))

    def gradient(self, weights: Float[Tensor, "members ..."]) -> Float[Tensor, "members ..."]:
        """Return 0."""
        return torch.zeros_like(weights)
