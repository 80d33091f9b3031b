"""Adaptive moments."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pipeline.config.schema import OptimizerConfig
from pipeline.engine.optimizers import Optimizer, Tensors, given

__all__ = ["Adam"]


class Adam(Optimizer):
    """m ← β₁m + (1-β₁)g, v ← β₂v + (1-β₂)g², θ ← θ - η m̂/(√v̂ + ε) (Kingma and Ba, 2015)."""

    def __init__(self, parameters: Tensors, configs: Sequence[OptimizerConfig]) -> None:
        """Start from m = v = 0."""
        super().__init__(parameters, configs)
        betas = [given(config.betas) for config in configs]
        self.beta1 = self.per_member([first for first, _ in betas])
        self.beta2 = self.per_member([second for _, second in betas])
        self.eps = self.per_member([given(config.eps) for config in configs])
        self.means = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.squares = [torch.zeros_like(parameter) for parameter in self.parameters]
        # β^t of this step, kept on the device: no number has to be fetched in between.
        self.powers1 = [torch.ones_like(beta) for beta in self.beta1]
        self.powers2 = [torch.ones_like(beta) for beta in self.beta2]

    def state(self) -> dict[str, Tensor]:
        """Return the moments m and v, and the powers of β."""
        return self.memory(
            mean=self.means, square=self.squares, power1=self.powers1, power2=self.powers2
        )

    def step(self, gradients: Tensors) -> None:
        """Take one step."""
        self.decay(gradients)
        for index, (parameter, gradient) in enumerate(zip(self.parameters, gradients, strict=True)):
            beta1, beta2 = self.beta1[index], self.beta2[index]
            mean = self.means[index].lerp_(gradient, 1 - beta1)
            square = self.squares[index].mul_(beta2).addcmul_(gradient.square(), 1 - beta2)
            correction1 = 1 - self.powers1[index].mul_(beta1)
            correction2 = 1 - self.powers2[index].mul_(beta2)
            denominator = (square.sqrt() / correction2.sqrt()).add_(self.eps[index])
            rate = self.lr[index] / correction1
            parameter.sub_(mean.mul(rate).div_(denominator))

    def decay(self, gradients: Tensors) -> None:
        """Apply the weight decay, here by way of the gradients."""
        self.add_weight_decay(gradients)
