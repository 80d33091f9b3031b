"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

from pipeline.engine.optimizers import Optimizer

__all__ = ["Sgd"]


class Sgd(Optimizer):
    """θ ← θ - η g."""

    @property
    def is_plain_descent(self) -> bool:
        """Whether there is no weight decay either."""
        return self.weight_decay is None

    def step(self, gradients: Sequence[Float[Tensor, "members ..."]]) -> None:
        """Take one step."""
        self.add_weight_decay(gradients)
        for parameter, gradient, lr in zip(self.parameters, gradients, self.lr, strict=True):
            parameter.addcmul_(gradient, lr, value=-1)
