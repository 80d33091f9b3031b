"""σ(z) = tanh z."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from pipeline.engine.activations import Activation

__all__ = ["Tanh"]


class Tanh(Activation):
    """σ(z) = tanh z."""

    def __call__(self, z: Float[Tensor, "*units"]) -> Float[Tensor, "*units"]:
        """Return tanh z, between -1 and 1."""
        return z.tanh()

    def derivative(
        self, z: Float[Tensor, "*units"], a: Float[Tensor, "*units"]
    ) -> Float[Tensor, "*units"]:
        """Return 1 - a²."""
        del z
        return 1 - a.square()
