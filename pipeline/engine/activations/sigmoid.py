"""σ(z) = 1 / (1 + e^-z)."""

from __future__ import annotations

from pipeline.engine.activations import Activation, Units

__all__ = ["Sigmoid"]


class Sigmoid(Activation):
    """σ(z) = 1 / (1 + e^-z) (Nielsen's equation 3)."""

    def __call__(self, z: Units) -> Units:
        """Return σ(z), between 0 and 1."""
        return z.sigmoid()

    def derivative(self, z: Units, a: Units) -> Units:
        """Return a (1 - a)."""
        del z
        return a * (1 - a)
