"""σ(z) = z where it is positive, else e^z - 1."""

from __future__ import annotations

from torch.nn import functional as F  # noqa: N812  (torch's own convention)

from pipeline.engine.activations import Activation, Units

__all__ = ["Elu"]


class Elu(Activation):
    """σ(z) = z where it is positive, else e^z - 1 (Clevert et al., 2016, α = 1)."""

    def __call__(self, z: Units) -> Units:
        """Return z where it is positive, else e^z - 1."""
        return F.elu(z)

    def derivative(self, z: Units, a: Units) -> Units:
        """Return 1 where z is positive, else e^z = a + 1."""
        del z
        return a.clamp(max=0) + 1
