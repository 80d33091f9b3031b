"""Gradient descent with momentum."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pipeline.config.schema import OptimizerConfig
from pipeline.engine.optimizers import Optimizer, Tensors, given

__all__ = ["Momentum"]


class Momentum(Optimizer):
    """v ← μ v + g, θ ← θ - η v."""

    def __init__(self, parameters: Tensors, configs: Sequence[OptimizerConfig]) -> None:
        """Start from v = 0."""
        super().__init__(parameters, configs)
        self.momentum = self.per_member([given(config.momentum) for config in configs])
        self.velocities = [torch.zeros_like(parameter) for parameter in self.parameters]

    def state(self) -> dict[str, Tensor]:
        """Return the velocities v."""
        return self.memory(velocity=self.velocities)

    def step(self, gradients: Tensors) -> None:
        """Take one step."""
        self.add_weight_decay(gradients)
        for index, (parameter, gradient) in enumerate(zip(self.parameters, gradients, strict=True)):
            velocity, momentum = self.velocities[index], self.momentum[index]
            velocity.mul_(momentum).add_(gradient)
            direction = self.direction(gradient, velocity, momentum)
            parameter.addcmul_(direction, self.lr[index], value=-1)

    def direction(self, gradient: Tensor, velocity: Tensor, momentum: Tensor) -> Tensor:
        """Return what the step follows: v. May change the gradient."""
        del gradient, momentum
        return velocity
