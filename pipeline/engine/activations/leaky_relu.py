"""σ(z) = max(z, z / 100)."""

from __future__ import annotations

from torch.nn import functional as F  # noqa: N812  (torch's own convention)

from pipeline.engine.activations import Activation, Units

__all__ = ["LeakyRelu"]

SLOPE = 0.01


class LeakyRelu(Activation):
    """σ(z) = max(z, z / 100) (Maas et al., 2013), with the derivative 1 / 100 at 0."""

    def __call__(self, z: Units) -> Units:
        """Return z where it is positive, else z / 100."""
        return F.leaky_relu(z, SLOPE)

    def derivative(self, z: Units, a: Units) -> Units:
        """Return 1 where z is positive, else 1 / 100."""
        del a
        return (z > 0).to(z.dtype).clamp_(min=SLOPE)
