"""σ(z) = 1 / (1 + e^-z)."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from pipeline.engine.activations import Activation

__all__ = ["Sigmoid"]


class Sigmoid(Activation):
    """σ(z) = 1 / (1 + e^-z) (Nielsen's equation 3)."""

    def __call__(self, z: Float[Tensor, "*units"]) -> Float[Tensor, "*units"]:
        """Return σ(z), between 0 and 1."""
        return z.sigmoid()

    def derivative(
        self, z: Float[Tensor, "*units"], a: Float[Tensor, "*units"]
    ) -> Float[Tensor, "*units"]:
        """Return a (1 - a)."""
        del z
        return a * (1 - a)
