"""σ(z) = z / (1 + e^-z)."""

from __future__ import annotations

from torch.nn import functional as F  # noqa: N812  (torch's own convention)

from pipeline.engine.activations import Activation, Units

__all__ = ["Silu"]


class Silu(Activation):
    """σ(z) = z / (1 + e^-z) (Elfwing et al., 2018)."""

    def __call__(self, z: Units) -> Units:
        """Return z times its sigmoid."""
        return F.silu(z)

    def derivative(self, z: Units, a: Units) -> Units:
        """Return s + a (1 - s), s being the sigmoid of z."""
        s = z.sigmoid()
        return s + a * (1 - s)
