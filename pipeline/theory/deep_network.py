"""Random deep networks in float64, passed through forward and back by the code that trains."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.config.schema import LossConfig
from pipeline.engine.backprop import Sharing, errors, forward, output_error
from pipeline.engine.losses import make_loss
from pipeline.engine.network import ACTIVATIONS, initial_parameters
from pipeline.engine.streams import generator

__all__ = [
    "ALONE",
    "Backward",
    "Columns",
    "DeepNetwork",
    "Matrices",
    "backward",
    "columns",
    "linear_backward",
    "sigma_prime",
]

Columns = Float[Tensor, "batch _units 1"]
"""A column vector of every example."""
Matrices = Float[Tensor, "batch _units _units"]
"""A square matrix of every example."""

BATCH = 5
ALONE = Sharing([1])
"""One network that reads one input matrix."""

COST_GRADIENTS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": lambda a, y: 2 * (a - y),
    "quadratic": lambda a, y: a - y,
    "ce": lambda a, y: (a - y) / (a * (1 - a)),
}
"""∇_a C by hand, a function of (a, y), where the outputs of an example are summed."""


def columns(units: Float[Tensor, "1 units batch"]) -> Columns:
    """Return what the engine keeps side by side as one column vector per example."""
    return units.detach()[0].mT.unsqueeze(-1)


def sigma_prime(z: Columns, activation: str) -> Matrices:
    """Return Σ′(z) as an explicit matrix: the Jacobian of the activation function."""
    leaf = z.squeeze(-1).clone().requires_grad_()
    a = ACTIVATIONS[activation](leaf)
    # An example's a depends on no other example, so the batch may be summed.
    rows = [torch.autograd.grad(unit, leaf, retain_graph=True)[0] for unit in a.sum(0)]
    return torch.stack(rows, dim=1)


class DeepNetwork:
    """A random network of three to six layers, and a batch that has passed through it."""

    def __init__(self, activation: str, seed: int) -> None:
        stream = generator(seed, "deep network", activation)
        num_layers = 3 + seed % 4
        sizes = [int(size) for size in torch.randint(2, 9, (num_layers + 1,), generator=stream)]
        parameters = initial_parameters(
            sizes, init="xavier", std=1.0, generator=stream, dtype=torch.float64
        )
        self.activation = activation
        self.weights = [weights.unsqueeze(0).requires_grad_() for weights, _ in parameters]
        self.biases = [biases.unsqueeze(0).requires_grad_() for _, biases in parameters]
        self.inputs = torch.randn(1, BATCH, sizes[0], generator=stream, dtype=torch.float64)
        self.labels = torch.randint(sizes[-1], (BATCH,), generator=stream)
        self.is_target = (self.labels == torch.arange(sizes[-1]).unsqueeze(1)).unsqueeze(0)
        self.done = forward(self.weights, self.biases, self.inputs, ALONE, activation, {})
        self.weighted = [*self.done.weighted, self.done.logits]
        """z^1, …, z^L."""

    @property
    def layers(self) -> range:
        """1, …, L."""
        return range(1, len(self.weights) + 1)

    @property
    def hidden_layers(self) -> range:
        """1, …, L - 1."""
        return self.layers[:-1]

    def transposed_above(self, layer: int) -> Float[Tensor, "_below _above"]:
        """Return (W^(l+1))ᵀ."""
        return self.weights[layer].detach()[0].mT


@dataclass(frozen=True)
class Backward:
    """What is compared of a backward pass."""

    network: DeepNetwork
    cost: Float[Tensor, ""]
    """C, summed over the batch, in autograd's graph."""
    cost_gradient: Columns
    """∇_a C."""
    sigma_primes: list[Matrices]
    """Σ′(z^1), …, Σ′(z^L)."""
    trained: dict[int, Columns]
    """δ^l by layer, from the code that trains."""

    @property
    def automatic(self) -> dict[int, Columns]:
        """δ^l by layer, ∂C/∂z^l by automatic differentiation."""
        weighted = self.network.weighted
        gradients = torch.autograd.grad(self.cost, weighted, retain_graph=True)
        return dict(zip(self.network.layers, map(columns, gradients), strict=True))

    def chain(self, layer: int) -> Columns:
        """Return Σ′(z^l)(W^(l+1))ᵀ Σ′(z^(l+1)) … Σ′(z^L) ∇_a C, multiplied from the left."""
        product = self.sigma_primes[layer - 1]
        for below in range(layer, len(self.sigma_primes)):
            above = self.sigma_primes[below]
            product = product @ self.network.transposed_above(below) @ above
        return product @ self.cost_gradient


def backward(network: DeepNetwork, loss: LossConfig) -> Backward:
    """Pass back the error of sigmoid outputs.

    Args:
        network: whose batch.
        loss: one of COST_GRADIENTS.
    """
    logits = network.done.logits
    a, y = columns(logits).sigmoid(), columns(network.is_target).to(logits.dtype)
    share = 1 / a.shape[1] if loss.reduction == "mean" else 1.0
    cost = make_loss(loss, "sigmoid")(logits[0].mT, network.labels).sum()
    delta = output_error(loss, "sigmoid", logits.detach(), network.is_target)
    gradient = COST_GRADIENTS[loss.name](a, y) * share
    return _backward(network, cost, gradient, delta, "sigmoid")


def linear_backward(network: DeepNetwork) -> Backward:
    """Pass back the error of outputs a^L = z^L with C = ½|a^L - y|²."""
    difference = network.done.logits - network.is_target.to(network.done.logits.dtype)
    cost, delta = difference.square().sum() / 2, difference.detach()
    return _backward(network, cost, columns(difference), delta, "identity")


def _backward(
    network: DeepNetwork,
    cost: Float[Tensor, ""],
    cost_gradient: Columns,
    delta: Float[Tensor, "1 classes batch"],
    output: str,
) -> Backward:
    activations = [*(network.activation for _ in network.hidden_layers), output]
    carried = errors(delta, network.done, network.weights, network.activation, {})
    return Backward(
        network,
        cost,
        cost_gradient,
        [sigma_prime(columns(z), a) for z, a in zip(network.weighted, activations, strict=True)],
        {layer: columns(error) for layer, error in carried},
    )
