"""Optimizers for K networks at once: one rule, its numbers member by member.

Each follows torch.optim's of the same name step by step, so that a member takes the steps that it
would take alone. To add one: a module here with its class, its YAML in conf/optimizer, a row in
tests/engine/test_optimizers.py.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TypeVar, cast

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.config import registry
from pipeline.config.schema import OptimizerConfig

__all__ = ["Optimizer", "Tensors", "given", "make_optimizer"]

Tensors = Sequence[Float[Tensor, "members ..."]]
"""Parameters, or what there is for each of them; the first axis is the member."""

Setting = TypeVar("Setting")


class Optimizer(ABC):
    """Takes steps along gradients; holds what it remembers from step to step."""

    def __init__(self, parameters: Tensors, configs: Sequence[OptimizerConfig]) -> None:
        """Take the parameters, whose first axis is the member, and each member's numbers."""
        self.parameters = list(parameters)
        self.rates = torch.tensor(
            [config.lr for config in configs],
            dtype=self.parameters[0].dtype,
            device=self.parameters[0].device,
        )
        """η of every member at the next step; it stays where it is."""
        self.lr = [self.rates.view(-1, *[1] * (p.ndim - 1)) for p in self.parameters]
        """The same, for each parameter as it broadcasts over it."""
        decay = [config.weight_decay for config in configs]
        self.weight_decay = self.per_member(decay) if any(decay) else None
        norms = [config.clip_norm for config in configs]
        self.clip_norm = self._largest_norms(norms) if any(norms) else None

    @abstractmethod
    def step(self, gradients: Tensors) -> None:
        """Change the parameters in place. The gradients may be changed too."""

    def state(self) -> dict[str, Tensor]:
        """Return what is remembered from step to step, by name; members lead in each."""
        return {}

    @property
    def is_plain_descent(self) -> bool:
        """Whether a step is θ ← θ - η g and nothing else, so that it needs no stored gradients."""
        return False

    def clip(self, gradients: Tensors) -> None:
        """Shorten the gradients of members whose norm, over all parameters, is above `clip_norm`.

        As torch.nn.utils.clip_grad_norm_ does, with its 10^-6.
        """
        if self.clip_norm is None:
            return
        norms = torch.stack([_norms(gradient.flatten(1)) for gradient in gradients], dim=1)
        factor = (self.clip_norm / (_norms(norms) + 1e-6)).clamp_(max=1)
        for gradient in gradients:
            gradient.mul_(factor.view(-1, *[1] * (gradient.ndim - 1)))

    def _largest_norms(self, norms: Sequence[float | None]) -> Float[Tensor, " members"]:
        """Return every member's `clip_norm`, infinity where there is none."""
        return self.rates.new_tensor([math.inf if norm is None else norm for norm in norms])

    def per_member(self, values: Sequence[float]) -> list[Tensor]:
        """Return one tensor per parameter that broadcasts a number of each member over it."""
        return [
            torch.tensor(values, dtype=parameter.dtype, device=parameter.device).view(
                -1, *[1] * (parameter.ndim - 1)
            )
            for parameter in self.parameters
        ]

    def memory(self, **tensors: Sequence[Tensor]) -> dict[str, Tensor]:
        """Return lists of one tensor per parameter under their names, for `state`."""
        return {
            f"{name}.{index}": tensor
            for name, of_parameters in tensors.items()
            for index, tensor in enumerate(of_parameters)
        }

    def add_weight_decay(self, gradients: Sequence[Tensor]) -> None:
        """Add weight_decay · θ to the gradients, as SGD and Adam do."""
        if self.weight_decay is None:
            return
        decays = zip(gradients, self.parameters, self.weight_decay, strict=True)
        for gradient, parameter, decay in decays:
            gradient.addcmul_(parameter, decay)


def _norms(rows: Float[Tensor, "members _numbers"]) -> Float[Tensor, " members"]:
    return cast("Tensor", torch.linalg.vector_norm(rows, dim=1))


def given(setting: Setting | None) -> Setting:
    """Return a setting that a checked config of this optimizer has."""
    assert setting is not None
    return setting


def make_optimizer(parameters: Tensors, configs: Sequence[OptimizerConfig]) -> Optimizer:
    """Return the optimizer that the members share, with the numbers of each."""
    (name,) = {config.name for config in configs}
    return cast("Optimizer", registry.find("optimizer", name)(parameters, configs))
