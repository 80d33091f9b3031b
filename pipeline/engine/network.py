"""Forward pass and backpropagation in matrix form, for K networks at once.

The four equations of the textbook (Nielsen, chapter 2; the problem set's Problem 2), with one
example per column as the book has it, one network ("member") along the first axis, and the
diagonal matrix Σ'(z) applied as the elementwise product that it is:

    BP1  δ^L = Σ'(z^L) ∇_a C                    pipeline.engine.losses
    BP2  δ^l = Σ'(z^l) (W^(l+1))ᵀ δ^(l+1)       here, with Σ' from pipeline.engine.activations
    BP3  ∂C/∂b^l = δ^l, summed over the batch   pipeline.engine.layers
    BP4  ∂C/∂W^l = δ^l (a^(l-1))ᵀ               pipeline.engine.layers

An example's errors are those of its own C; the mean over the batch comes in with the step.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

from jaxtyping import Float
from torch import Tensor

from pipeline.config.schema import ModelConfig
from pipeline.engine.activations import Activation
from pipeline.engine.first_layer import SharedInputs
from pipeline.engine.layers import Layer
from pipeline.engine.layers.dense import Dense

__all__ = ["Forward", "Masks", "Network", "Parameters", "make_layers"]

Parameters = Sequence[Sequence[Float[Tensor, "members ..."]]]
"""Every layer's parameters, the first layer first."""

Masks = Mapping[int, Float[Tensor, "members _units batch"]]
"""Dropout factors by layer, from 1; the last layer's act on the logits."""


@dataclass
class Forward:
    """What the forward pass leaves for the backward pass."""

    logits: Float[Tensor, "members classes batch"]
    """z^L, after dropout if the logits are dropped."""
    read: list[SharedInputs | Float[Tensor, "members _units batch"]]
    """What each layer has read: the inputs, then the activations after dropout."""
    weighted: list[Float[Tensor, "members _units batch"]]
    """z^l of the hidden layers."""
    activations: list[Float[Tensor, "members _units batch"]]
    """a^l = σ(z^l) of the hidden layers, before dropout."""


@dataclass(frozen=True)
class Network:
    """Layers with one activation function between them; it holds no parameters."""

    layers: Sequence[Layer]
    activation: Activation

    def forward(self, parameters: Parameters, inputs: SharedInputs, masks: Masks) -> Forward:
        """Compute z^l and a^l = σ(z^l), layer by layer, for every member.

        Args:
            parameters: of every layer.
            inputs: of the batch.
            masks: of the layers that drop units.
        """
        first = self.layers[0]
        units = inputs if first.reads_shared_inputs else inputs.of_every_member()
        read: list[SharedInputs | Tensor] = []
        weighted: list[Tensor] = []
        activations: list[Tensor] = []
        for number, (layer, own) in enumerate(zip(self.layers, parameters, strict=True), start=1):
            read.append(units)
            z = layer.forward(own, cast("Tensor", units))
            if number == len(self.layers):
                return Forward(_dropped(z, masks.get(number)), read, weighted, activations)
            weighted.append(z)
            activations.append(self.activation(z))
            units = _dropped(activations[-1], masks.get(number)).to(inputs.matrices.dtype)
        raise AssertionError("a network has a layer")

    def errors(
        self,
        delta: Float[Tensor, "members classes batch"],
        done: Forward,
        parameters: Parameters,
        masks: Masks,
    ) -> Iterator[tuple[int, Float[Tensor, "members _units batch"]]]:
        """Carry δ^L back through the layers (BP2).

        Each error is carried on before it is given out: whoever gets (l, δ^l) may change the
        parameters of layer l at once.

        Args:
            delta: the error at the logits as the loss sees them (BP1).
            done: of the forward pass.
            parameters: as in the forward pass, like the next one.
            masks: see `forward`.

        Yields:
            (l, δ^l) from the last layer to the first, numbered from 1.
        """
        last = len(self.layers)
        if last in masks:
            delta = delta * masks[last]
        for number in range(last, 1, -1):
            layer, units = self.layers[number - 1], cast("Tensor", done.read[number - 1])
            below = layer.backward(parameters[number - 1], units, delta)
            below = _dropped(below, masks.get(number - 1))
            z, a = done.weighted[number - 2], done.activations[number - 2]
            below = self.activation.backward(below, z, a)
            yield number, delta
            delta = below
        yield 1, delta

    def add_gradients(
        self,
        number: int,
        targets: Sequence[Float[Tensor, "members ..."]],
        delta: Float[Tensor, "members _units batch"],
        done: Forward,
        parameters: Parameters,
        *,
        accumulate: bool,
    ) -> None:
        """Write the gradients of layer `number` (BP3, BP4); see `Layer.add_gradients`."""
        layer, units = self.layers[number - 1], cast("Tensor", done.read[number - 1])
        own = parameters[number - 1]
        layer.add_gradients(targets, own, units, delta, accumulate=accumulate)


def _dropped(units: Tensor, mask: Tensor | None) -> Tensor:
    return units if mask is None else units * mask


def make_layers(config: ModelConfig, num_features: int, num_classes: int) -> list[Layer]:
    """Return the layers of a model, the first one first."""
    widths = [num_features, *config.hidden, num_classes]
    return [Dense(num_inputs, num_units) for num_inputs, num_units in pairwise(widths)]
