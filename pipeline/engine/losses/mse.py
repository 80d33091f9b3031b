"""Squared differences."""

from __future__ import annotations

from pipeline.engine.losses import Logits
from pipeline.engine.losses._outputs import LossOfDifferences

__all__ = ["Mse"]


class Mse(LossOfDifferences):
    """(a - y)² of every output."""

    def terms(self, difference: Logits) -> Logits:
        """Return (a - y)²."""
        return difference.square()

    def slopes(self, difference: Logits) -> Logits:
        """Return 2 (a - y)."""
        return difference.mul_(2)
