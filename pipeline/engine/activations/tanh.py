"""σ(z) = tanh z."""

from __future__ import annotations

from pipeline.engine.activations import Activation, Units

__all__ = ["Tanh"]


class Tanh(Activation):
    """σ(z) = tanh z."""

    def __call__(self, z: Units) -> Units:
        """Return tanh z, between -1 and 1."""
        return z.tanh()

    def derivative(self, z: Units, a: Units) -> Units:
        """Return 1 - a²."""
        del z
        return 1 - a.square()
