"""Half the sum of the weights' squares."""

from __future__ import annotations

from pipeline.engine.regularizers import PerMember, Regularizer, Weights

__all__ = ["L2"]


class L2(Regularizer):
    """½Σw²."""

    def value(self, weights: Weights) -> PerMember:
        """Return ½Σw²."""
        return weights.flatten(1).square().sum(1) / 2

    def gradient(self, weights: Weights) -> Weights:
        """Return the weights themselves, not a copy."""
        return weights
