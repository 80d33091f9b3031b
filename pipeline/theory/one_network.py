"""One network, passed forward and back by the code that trains.

What the claims need of `pipeline.engine` is here and nowhere else. Tensors are laid out as there:
one member, its units, and the examples of a batch side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from pipeline.config.schema import LossConfig
from pipeline.engine.backprop import (
    DERIVATIVES,
    Sharing,
    add_gradient,
    errors,
    forward,
    output_error,
)
from pipeline.engine.losses import make_loss
from pipeline.engine.network import ACTIVATIONS

__all__ = ["Activation", "Loss", "Pass", "Units", "is_target"]

Units = Float[Tensor, "1 _units batch"]
"""A number for each unit of a layer and each example."""

Labels = Int[Tensor, "1 batch"]
"""The right class of each example."""

ALONE = Sharing([1])
"""The network is the only one that reads its inputs."""


@dataclass(frozen=True)
class Activation:
    """An activation function σ by its name."""

    name: str

    def __call__(self, z: Tensor) -> Tensor:
        """Return σ(z)."""
        return ACTIVATIONS[self.name](z)

    def derivative(self, z: Tensor, a: Tensor) -> Tensor:
        """Return σ′(z), where a = σ(z)."""
        derivative = DERIVATIVES[self.name]
        return torch.ones_like(z) if derivative is None else derivative(z, a)


@dataclass(frozen=True)
class Loss:
    """A loss of softmax or sigmoid outputs; an example's outputs are averaged or summed."""

    name: str
    output: str
    reduction: str = "mean"

    def value(self, logits: Units, labels: Labels) -> Float[Tensor, "1 batch"]:
        """Return C of every example."""
        return make_loss(self._config, self.output)(logits.mT, labels)

    def error(self, logits: Units, labels: Labels) -> Units:
        """Return δ^L = ∂C/∂z^L of every example."""
        return output_error(self._config, self.output, logits, is_target(logits, labels))

    @cached_property
    def _config(self) -> LossConfig:
        return LossConfig(self.name, self.reduction)


def is_target(logits: Units, labels: Labels) -> Bool[Tensor, "1 classes batch"]:
    """Return y, one-hot."""
    return labels.unsqueeze(1) == torch.arange(logits.shape[1]).unsqueeze(-1)


class Pass:
    """A batch that has passed forward through a network, to be passed back."""

    def __init__(
        self,
        weights: Sequence[Float[Tensor, "1 _out _in"]],
        biases: Sequence[Float[Tensor, "1 _out"]],
        inputs: Float[Tensor, "1 batch features"],
        activation: str = "identity",
    ) -> None:
        self.weights, self.biases, self.inputs = weights, biases, inputs
        self.activation = activation
        self._done = forward(weights, biases, inputs, ALONE, activation, {})
        self.logits: Units = self._done.logits
        self.weighted: list[Units] = [*self._done.weighted, self.logits]
        """z^1, …, z^L."""
        self.activations: list[Units] = self._done.activations
        """a^1, …, a^(L-1)."""

    def errors(self, delta: Units) -> dict[int, Units]:
        """Return δ^l by layer, which BP2 carries back from δ^L."""
        return dict(errors(delta, self._done, self.weights, self.activation, {}))

    @torch.no_grad()
    def weight_gradient(self, layer: int, delta: Units) -> Float[Tensor, "1 out in"]:
        """Return BP4, δ^l (a^(l-1))ᵀ, summed over the batch."""
        gradient = torch.zeros_like(self.weights[layer - 1])
        self.add_weight_gradient(gradient, layer, delta)
        return gradient

    def add_weight_gradient(
        self, target: Float[Tensor, "1 out in"], layer: int, delta: Units
    ) -> None:
        """Add BP4 to a tensor in place: to the weights, with δ scaled by -η, it is a step."""
        add_gradient(target, delta, layer, self._done, self.inputs, ALONE, accumulate=True)
