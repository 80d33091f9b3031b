"""The sum of the weights' sizes."""

from __future__ import annotations

from pipeline.engine.regularizers import PerMember, Regularizer, Weights

__all__ = ["L1"]


class L1(Regularizer):
    """Σ|w|, with the subgradient 0 at 0."""

    def value(self, weights: Weights) -> PerMember:
        """Return Σ|w|."""
        return weights.flatten(1).abs().sum(1)

    def gradient(self, weights: Weights) -> Weights:
        """Return the sign of every weight."""
        return weights.sign()
