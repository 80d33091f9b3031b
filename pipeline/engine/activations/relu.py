"""σ(z) = max(z, 0)."""

from __future__ import annotations

from pipeline.engine.activations import Activation, Units

__all__ = ["Relu"]


class Relu(Activation):
    """σ(z) = max(z, 0), with the derivative 0 at 0."""

    def __call__(self, z: Units) -> Units:
        """Return z where it is positive, else 0."""
        return z.relu()

    def derivative(self, z: Units, a: Units) -> Units:
        """Return 1 where z is positive, else 0."""
        del a
        return (z > 0).to(z.dtype)
