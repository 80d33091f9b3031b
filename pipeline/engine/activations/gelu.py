"""σ(z) = z Φ(z), Φ being the distribution function of the standard normal."""

from __future__ import annotations

import math

from torch.nn import functional as F  # noqa: N812  (torch's own convention)

from pipeline.engine.activations import Activation, Units

__all__ = ["Gelu"]


class Gelu(Activation):
    """σ(z) = z Φ(z) = z (1 + erf(z / √2)) / 2 (Hendrycks and Gimpel, 2016), not approximated."""

    def __call__(self, z: Units) -> Units:
        """Return z Φ(z)."""
        return F.gelu(z)

    def derivative(self, z: Units, a: Units) -> Units:
        """Return Φ(z) + z φ(z), φ being the density."""
        del a
        distribution = (z / math.sqrt(2)).erf_().add_(1).div_(2)
        density = z.square().div_(-2).exp_().div_(math.sqrt(2 * math.pi))
        return distribution.addcmul_(z, density)
