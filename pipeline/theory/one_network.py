"""One network, passed forward and back by the code that trains.

What the claims need of `pipeline.engine` is here and nowhere else. Tensors are laid out as there:
members, mostly one, their units, and the examples of a batch side by side.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.config.schema import LossConfig, ModelConfig
from pipeline.engine.activations import Activation, make_activation
from pipeline.engine.first_layer import Readers, SharedInputs
from pipeline.engine.layers.dense import Dense
from pipeline.engine.losses import Loss, is_target, make_loss
from pipeline.engine.network import Network

__all__ = ["Loss", "Pass", "Units", "find_activation", "find_loss", "is_target"]

Units = Float[Tensor, "members _units batch"]
"""A number for each member, unit of a layer and example."""


def find_activation(name: str) -> Activation:
    """Return an activation function σ by its name."""
    return make_activation(ModelConfig(activation=name))


def find_loss(name: str, output: str, reduction: str = "mean") -> Loss:
    """Return a loss of softmax or sigmoid outputs; an example's outputs are averaged or summed."""
    return make_loss(LossConfig(name, reduction), output)


class Pass:
    """A batch that has passed forward through a network, to be passed back."""

    def __init__(
        self,
        weights: Sequence[Float[Tensor, "members _out _in"]],
        biases: Sequence[Float[Tensor, "members _out"]],
        inputs: Float[Tensor, "members batch features"],
        activation: str = "identity",
    ) -> None:
        self.weights, self.biases, self.inputs = weights, biases, inputs
        self.activation = activation
        self._parameters = list(zip(weights, biases, strict=True))
        layers = [Dense(matrix.shape[2], matrix.shape[1]) for matrix in weights]
        self._network = Network(layers, find_activation(activation))
        shared = SharedInputs(inputs, Readers([1] * len(inputs)))
        self._done = self._network.forward(self._parameters, shared, {})
        self.logits: Units = self._done.logits
        self.weighted: list[Units] = [*self._done.weighted, self.logits]
        """z^1, …, z^L."""
        self.activations: list[Units] = self._done.activations
        """a^1, …, a^(L-1)."""

    def errors(self, delta: Units) -> dict[int, Units]:
        """Return δ^l by layer, which BP2 carries back from δ^L."""
        return dict(self._network.errors(delta, self._done, self._parameters, {}))

    @torch.no_grad()
    def weight_gradient(self, layer: int, delta: Units) -> Float[Tensor, "members out in"]:
        """Return BP4, δ^l (a^(l-1))ᵀ, summed over the batch."""
        gradient = torch.zeros_like(self.weights[layer - 1])
        self.add_weight_gradient(gradient, layer, delta)
        return gradient

    def add_weight_gradient(
        self, target: Float[Tensor, "members out in"], layer: int, delta: Units
    ) -> None:
        """Add BP4 to a tensor in place: to the weights, with δ scaled by -η, it is a step."""
        targets = [target, torch.zeros_like(delta[..., 0])]
        self._network.add_gradients(
            layer, targets, delta, self._done, self._parameters, accumulate=True
        )
