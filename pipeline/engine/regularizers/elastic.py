"""A mixture of L1 and L2."""

from __future__ import annotations

from pipeline.config.schema import RegularizerConfig
from pipeline.engine.regularizers import PerMember, Regularizer, Weights
from pipeline.engine.regularizers.l1 import L1
from pipeline.engine.regularizers.l2 import L2

__all__ = ["Elastic"]


class Elastic(Regularizer):
    """r Σ|w| + (1 - r) ½Σw² with r = `regularizer.l1_ratio` (Zou and Hastie, 2005)."""

    def __init__(self, config: RegularizerConfig) -> None:
        """Take r, from 0 to 1, from the config."""
        super().__init__(config)
        assert config.l1_ratio is not None
        self.l1_ratio = config.l1_ratio
        self._l1, self._l2 = L1(config), L2(config)

    def value(self, weights: Weights) -> PerMember:
        """Return r Σ|w| + (1 - r) ½Σw²."""
        l1, l2 = self._l1.value(weights), self._l2.value(weights)
        return self.l1_ratio * l1 + (1 - self.l1_ratio) * l2

    def gradient(self, weights: Weights) -> Weights:
        """Return r sign(w) + (1 - r) w."""
        return self.l1_ratio * weights.sign() + (1 - self.l1_ratio) * weights
