"""Half the squared differences."""

from __future__ import annotations

from pipeline.engine.losses import Logits
from pipeline.engine.losses._outputs import LossOfDifferences

__all__ = ["Quadratic"]


class Quadratic(LossOfDifferences):
    """½(a - y)² of every output; summed, it is Nielsen's quadratic cost (equation 6)."""

    def terms(self, difference: Logits) -> Logits:
        """Return ½(a - y)²."""
        return difference.square() / 2

    def slopes(self, difference: Logits) -> Logits:
        """Return a - y."""
        return difference
