"""Gradients divided by their recent size."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pipeline.config.schema import OptimizerConfig
from pipeline.engine.optimizers import Optimizer, Tensors, given

__all__ = ["RmsProp"]


class RmsProp(Optimizer):
    """s ← αs + (1-α)g², v ← μv + g/(√s + ε), θ ← θ - η v (Tieleman and Hinton, 2012)."""

    def __init__(self, parameters: Tensors, configs: Sequence[OptimizerConfig]) -> None:
        """Start from s = v = 0."""
        super().__init__(parameters, configs)
        self.alpha = self.per_member([given(config.alpha) for config in configs])
        self.eps = self.per_member([given(config.eps) for config in configs])
        self.momentum = self.per_member([given(config.momentum) for config in configs])
        self.squares = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.velocities = [torch.zeros_like(parameter) for parameter in self.parameters]

    def state(self) -> dict[str, Tensor]:
        """Return the mean squares s and the velocities v."""
        return self.memory(square=self.squares, velocity=self.velocities)

    def step(self, gradients: Tensors) -> None:
        """Take one step."""
        self.add_weight_decay(gradients)
        for index, (parameter, gradient) in enumerate(zip(self.parameters, gradients, strict=True)):
            alpha, velocity = self.alpha[index], self.velocities[index]
            square = self.squares[index].mul_(alpha).addcmul_(gradient.square(), 1 - alpha)
            direction = gradient.div_(square.sqrt().add_(self.eps[index]))
            velocity.mul_(self.momentum[index]).add_(direction)
            parameter.addcmul_(velocity, self.lr[index], value=-1)
