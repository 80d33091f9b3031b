"""Squared where the difference is small, linear where it is large."""

from __future__ import annotations

import torch

from pipeline.config.schema import LossConfig
from pipeline.engine.losses import Logits
from pipeline.engine.losses._outputs import LossOfDifferences

__all__ = ["Huber"]


class Huber(LossOfDifferences):
    """½d² where |d| = |a - y| ≤ δ, else δ(|d| - ½δ), of every output (Huber, 1964).

    δ is `loss.delta`. Since |d| ≤ 1, δ = 1 is ½(a - y)² throughout.
    """

    def __init__(self, config: LossConfig, output: str) -> None:
        """Take δ, > 0, from the config."""
        super().__init__(config, output)
        assert config.delta is not None
        self.delta = config.delta

    def terms(self, difference: Logits) -> Logits:
        """Return ½d² or δ(|d| - ½δ)."""
        distance = difference.abs()
        linear = self.delta * (distance - self.delta / 2)
        return torch.where(distance <= self.delta, difference.square() / 2, linear)

    def slopes(self, difference: Logits) -> Logits:
        """Return d, at most δ in size."""
        return difference.clamp_(-self.delta, self.delta)
