"""Gradient descent with Nesterov's momentum."""

from __future__ import annotations

from torch import Tensor

from pipeline.engine.optimizers.momentum import Momentum

__all__ = ["Nesterov"]


class Nesterov(Momentum):
    """v ← μ v + g, θ ← θ - η (g + μ v), as torch.optim.SGD has it."""

    def direction(self, gradient: Tensor, velocity: Tensor, momentum: Tensor) -> Tensor:
        """Return what the step follows: g + μ v. May change the gradient."""
        return gradient.addcmul_(velocity, momentum)
