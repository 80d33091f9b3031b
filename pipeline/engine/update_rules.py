"""Optimizers for K networks at once: one rule, its numbers member by member.

Each follows torch.optim's of the same name step by step, so that a member takes the steps that it
would take alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.config.schema import OptimizerConfig

__all__ = ["UPDATE_RULES", "UpdateRule", "make_update_rule"]


Setting = TypeVar("Setting")


def _given(setting: Setting | None) -> Setting:
    """Return a setting that a checked config of this rule has."""
    assert setting is not None
    return setting


def _named(**lists: Sequence[Tensor]) -> dict[str, Tensor]:
    return {
        f"{name}.{index}": tensor
        for name, tensors in lists.items()
        for index, tensor in enumerate(tensors)
    }


class UpdateRule:
    """Takes steps along gradients; holds the optimizer's state."""

    def __init__(
        self,
        parameters: Sequence[Float[Tensor, "members ..."]],
        configs: Sequence[OptimizerConfig],
    ) -> None:
        """Take the parameters, whose leading axis is the member, and each member's numbers."""
        self.parameters = list(parameters)
        self.lr = self.per_member([config.lr for config in configs])
        decay = [config.weight_decay for config in configs]
        self.weight_decay = self.per_member(decay) if any(decay) else None

    def per_member(self, values: Sequence[float]) -> list[Tensor]:
        """Return one tensor per parameter that broadcasts a number of each member over it."""
        return [
            torch.tensor(values, dtype=parameter.dtype, device=parameter.device).view(
                -1, *[1] * (parameter.ndim - 1)
            )
            for parameter in self.parameters
        ]

    def step(self, gradients: Sequence[Float[Tensor, "members ..."]]) -> None:
        """Change the parameters in place. The gradients may be changed too."""
        raise NotImplementedError

    def state(self) -> dict[str, Tensor]:
        """Return what the rule keeps from step to step, by name; members lead in each."""
        return {}

    def add_weight_decay(self, gradients: Sequence[Tensor]) -> None:
        """Add weight_decay · parameter to the gradients, as SGD and Adam do."""
        if self.weight_decay is None:
            return
        decays = zip(gradients, self.parameters, self.weight_decay, strict=True)
        for gradient, parameter, decay in decays:
            gradient.addcmul_(parameter, decay)


class Sgd(UpdateRule):
    """θ ← θ - η g."""

    def step(self, gradients: Sequence[Float[Tensor, "members ..."]]) -> None:
        """Take one step."""
        self.add_weight_decay(gradients)
        for parameter, gradient, lr in zip(self.parameters, gradients, self.lr, strict=True):
            parameter.addcmul_(gradient, lr, value=-1)


class Momentum(UpdateRule):
    """v ← μ v + g, θ ← θ - η v; Nesterov's takes g + μ v instead of v."""

    is_nesterov = False

    def __init__(
        self,
        parameters: Sequence[Float[Tensor, "members ..."]],
        configs: Sequence[OptimizerConfig],
    ) -> None:
        super().__init__(parameters, configs)
        self.momentum = self.per_member([_given(config.momentum) for config in configs])
        self.velocities = [torch.zeros_like(parameter) for parameter in self.parameters]

    def state(self) -> dict[str, Tensor]:
        """Return the velocities."""
        return _named(velocity=self.velocities)

    def step(self, gradients: Sequence[Float[Tensor, "members ..."]]) -> None:
        """Take one step."""
        self.add_weight_decay(gradients)
        for index, (parameter, gradient) in enumerate(zip(self.parameters, gradients, strict=True)):
            velocity, momentum = self.velocities[index], self.momentum[index]
            velocity.mul_(momentum).add_(gradient)
            direction = gradient.addcmul_(velocity, momentum) if self.is_nesterov else velocity
            parameter.addcmul_(direction, self.lr[index], value=-1)


class Nesterov(Momentum):
    """Nesterov's momentum, as torch.optim.SGD has it."""

    is_nesterov = True


class Adam(UpdateRule):
    """m ← β₁m + (1-β₁)g, v ← β₂v + (1-β₂)g², θ ← θ - η m̂/(√v̂ + ε) (Kingma and Ba, 2015)."""

    is_decoupled = False

    def __init__(
        self,
        parameters: Sequence[Float[Tensor, "members ..."]],
        configs: Sequence[OptimizerConfig],
    ) -> None:
        super().__init__(parameters, configs)
        betas = [_given(config.betas) for config in configs]
        self.beta1 = self.per_member([first for first, _ in betas])
        self.beta2 = self.per_member([second for _, second in betas])
        self.eps = self.per_member([_given(config.eps) for config in configs])
        self.means = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.squares = [torch.zeros_like(parameter) for parameter in self.parameters]
        # β^t of this step, kept on the device: no number has to be fetched in between.
        self.powers1 = [torch.ones_like(beta) for beta in self.beta1]
        self.powers2 = [torch.ones_like(beta) for beta in self.beta2]

    def state(self) -> dict[str, Tensor]:
        """Return the moments and the powers of β."""
        return _named(
            mean=self.means, square=self.squares, power1=self.powers1, power2=self.powers2
        )

    def step(self, gradients: Sequence[Float[Tensor, "members ..."]]) -> None:
        """Take one step."""
        if self.is_decoupled:
            self._shrink()
        else:
            self.add_weight_decay(gradients)
        for index, (parameter, gradient) in enumerate(zip(self.parameters, gradients, strict=True)):
            beta1, beta2 = self.beta1[index], self.beta2[index]
            mean = self.means[index].lerp_(gradient, 1 - beta1)
            square = self.squares[index].mul_(beta2).addcmul_(gradient.square(), 1 - beta2)
            correction1 = 1 - self.powers1[index].mul_(beta1)
            correction2 = 1 - self.powers2[index].mul_(beta2)
            denominator = (square.sqrt() / correction2.sqrt()).add_(self.eps[index])
            rate = self.lr[index] / correction1
            parameter.sub_(mean.mul(rate).div_(denominator))

    def _shrink(self) -> None:
        if self.weight_decay is None:
            return
        for parameter, lr, decay in zip(self.parameters, self.lr, self.weight_decay, strict=True):
            parameter.mul_(1 - lr * decay)


class AdamW(Adam):
    """Adam whose weight decay acts on θ, not on g (Loshchilov and Hutter, 2019)."""

    is_decoupled = True


UPDATE_RULES: dict[str, type[UpdateRule]] = {
    "sgd": Sgd,
    "momentum": Momentum,
    "nesterov": Nesterov,
    "adam": Adam,
    "adamw": AdamW,
}


def make_update_rule(
    parameters: Sequence[Float[Tensor, "members ..."]], configs: Sequence[OptimizerConfig]
) -> UpdateRule:
    """Return the rule that the members share, with the numbers of each."""
    (name,) = {config.name for config in configs}
    return UPDATE_RULES[name](parameters, configs)
