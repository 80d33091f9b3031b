"""Stochastic gradient descent."""

from __future__ import annotations

from pipeline.engine.optimizers import Optimizer, Tensors

__all__ = ["Sgd"]


class Sgd(Optimizer):
    """θ ← θ - η g."""

    @property
    def is_plain_descent(self) -> bool:
        """Whether there is neither weight decay nor clipping."""
        return self.weight_decay is None and self.clip_norm is None

    def step(self, gradients: Tensors) -> None:
        """Take one step."""
        self.add_weight_decay(gradients)
        for parameter, gradient, lr in zip(self.parameters, gradients, self.lr, strict=True):
            parameter.addcmul_(gradient, lr, value=-1)
