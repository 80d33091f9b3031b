"""Random deep networks in float64, passed forward and back by the code that trains."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.theory.one_network import Loss, Pass, Units, find_activation, is_target

__all__ = [
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

COST_GRADIENTS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": lambda a, y: 2 * (a - y),
    "quadratic": lambda a, y: a - y,
    "ce": lambda a, y: (a - y) / (a * (1 - a)),
    "nll": lambda a, y: -y / a,
}
"""∇_a C by hand, a function of (a, y), where the terms of an example's outputs are summed."""


def columns(units: Units) -> Columns:
    """Return what the engine keeps side by side as one column vector per example."""
    return units.detach()[0].mT.unsqueeze(-1)


def softmax(z: Float[Tensor, "batch _units"]) -> Float[Tensor, "batch _units"]:
    """Return softmax outputs: each of them depends on all weighted inputs of its example."""
    return z.softmax(-1)


OUTPUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": find_activation("sigmoid"),
    "softmax": softmax,
}


def sigma_prime(z: Columns, function: Callable[[Tensor], Tensor]) -> Matrices:
    """Return Σ′(z) as an explicit matrix: the Jacobian ∂a_j/∂z_k of a function of each example.

    It is diagonal where a_j depends on z_j alone.
    """
    leaf = z.squeeze(-1).clone().requires_grad_()
    a = function(leaf)
    # An example's a depends on no other example, so the batch may be summed.
    rows = [torch.autograd.grad(unit, leaf, retain_graph=True)[0] for unit in a.sum(0)]
    return torch.stack(rows, dim=1)


class DeepNetwork(Pass):
    """A random network of three to six layers, and a batch that has passed through it.

    Its layers have 2 to 8 units each; with `width`, that many.
    """

    def __init__(self, activation: str, seed: int, width: int | None = None) -> None:
        stream = torch.Generator().manual_seed(seed)
        draw = partial(torch.randn, generator=stream, dtype=torch.float64)
        drawn = torch.randint(2, 9, (4 + seed % 4,), generator=stream)
        sizes = [width or int(size) for size in drawn]
        weights = [(draw(1, o, i) / i**0.5).requires_grad_() for i, o in pairwise(sizes)]
        biases = [draw(1, size).requires_grad_() for size in sizes[1:]]
        super().__init__(weights, biases, draw(1, BATCH, sizes[0]), activation)
        self.labels = torch.randint(sizes[-1], (1, BATCH), generator=stream)
        self.targets = is_target(self.logits, self.labels).double()
        """y, one-hot."""

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


class Backward:
    """What is compared of a backward pass.

    Attributes:
        network: the network, and the batch that is passed back.
        cost: C, summed over the batch, in autograd's graph.
        cost_gradient: ∇_a C.
        sigma_primes: Σ′(z^1), …, Σ′(z^L).
        trained: δ^l by layer, from the code that trains.
        automatic: δ^l by layer, ∂C/∂z^l by automatic differentiation.
    """

    def __init__(
        self,
        network: DeepNetwork,
        output: Callable[[Tensor], Tensor],
        cost: Float[Tensor, ""],
        cost_gradient: Columns,
        delta: Units,
    ) -> None:
        self.network, self.cost, self.cost_gradient = network, cost, cost_gradient
        hidden = find_activation(network.activation)
        functions = [*(hidden for _ in network.hidden_layers), output]
        self.sigma_primes: list[Matrices] = [
            sigma_prime(columns(z), f) for z, f in zip(network.weighted, functions, strict=True)
        ]
        self.trained = {layer: columns(error) for layer, error in network.errors(delta).items()}
        gradients = torch.autograd.grad(cost, network.weighted, retain_graph=True)
        self.automatic = dict(zip(network.layers, map(columns, gradients), strict=True))

    def chain(self, layer: int) -> Columns:
        """Return Σ′(z^l)(W^(l+1))ᵀ Σ′(z^(l+1)) … Σ′(z^L) ∇_a C, multiplied from the left."""
        product = self.sigma_primes[layer - 1]
        for below in self.network.layers[layer - 1 : -1]:
            above = self.sigma_primes[below]
            product = product @ self.network.transposed_above(below) @ above
        return product @ self.cost_gradient


def backward(network: DeepNetwork, loss: Loss) -> Backward:
    """Pass back the error of a network's batch.

    Args:
        network: whose logits the loss takes.
        loss: one of COST_GRADIENTS, of sigmoid or softmax outputs.
    """
    logits, labels = network.logits, network.labels
    a, y = columns(loss.activations(logits)), columns(network.targets)
    has_terms = loss.config.name != "nll"  # which has one term per example, not one per output
    share = 1 / a.shape[1] if has_terms and loss.config.reduction == "mean" else 1.0
    cost, delta = loss.value(logits, labels).sum(), loss.error(logits.detach(), labels)
    cost_gradient = COST_GRADIENTS[loss.config.name](a, y) * share
    return Backward(network, OUTPUTS[loss.output], cost, cost_gradient, delta)


def linear_backward(network: DeepNetwork) -> Backward:
    """Pass back the error of outputs a^L = z^L with C = ½|a^L - y|²."""
    delta = network.logits - network.targets
    cost = delta.square().sum() / 2
    identity = find_activation("identity")
    return Backward(network, identity, cost, columns(delta), delta.detach())
