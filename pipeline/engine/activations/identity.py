"""σ(z) = z."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from pipeline.engine.activations import Activation

__all__ = ["Identity"]


class Identity(Activation):
    """σ(z) = z, which makes a deep network a linear one."""

    def __call__(self, z: Float[Tensor, "*units"]) -> Float[Tensor, "*units"]:
        """Return z itself."""
        return z

    def backward(
        self,
        error: Float[Tensor, "*units"],
        z: Float[Tensor, "*units"],
        a: Float[Tensor, "*units"],
    ) -> Float[Tensor, "*units"]:
        """Return the error itself, since σ'(z) = 1."""
        del z, a
        return error
