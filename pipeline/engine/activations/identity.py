"""σ(z) = z."""

from __future__ import annotations

from pipeline.engine.activations import Activation, Units

__all__ = ["Identity"]


class Identity(Activation):
    """σ(z) = z, which makes a deep network a linear one."""

    def __call__(self, z: Units) -> Units:
        """Return z itself."""
        return z

    def backward(self, error: Units, z: Units, a: Units) -> Units:
        """Return the error itself, since σ'(z) = 1."""
        del z, a
        return error
