"""No regularizer."""

from __future__ import annotations

import torch

from pipeline.engine.regularizers import PerMember, Regularizer, Weights

__all__ = ["NoRegularizer"]


class NoRegularizer(Regularizer):
    """0, whatever the weights are."""

    def value(self, weights: Weights) -> PerMember:
        """Return 0."""
        return weights.new_zeros(len(weights))

    def gradient(self, weights: Weights) -> Weights:
        """Return 0."""
        return torch.zeros_like(weights)
