"""Problem 2.4: BP1 to BP4 of the linear network, σ(z) = z."""

from __future__ import annotations

import torch

from pipeline.theory.claim import Claim
from pipeline.theory.deep_network import Backward, DeepNetwork, columns, linear_backward
from pipeline.theory.matrix_form import SEEDS, Equation, Forms, check_equations

__all__ = ["check_linear_network"]


def check_linear_network() -> list[Claim]:
    """Check Problem 2.4 on random deep networks with C = ½|a^L - y|²."""
    passes = [linear_backward(DeepNetwork("identity", seed)) for seed in SEEDS]
    return check_equations(EQUATIONS, passes)


def _identities(done: Backward) -> Forms:
    for matrices in done.sigma_primes:
        identity = torch.eye(matrices.shape[-1], dtype=matrices.dtype)
        yield [matrices, identity.expand_as(matrices)]


def _output_errors(done: Backward) -> Forms:
    yield [done.cost_gradient, done.automatic[done.network.layers[-1]]]


def _hidden_errors(done: Backward) -> Forms:
    for layer in done.network.hidden_layers:
        carried = done.network.transposed_above(layer) @ done.trained[layer + 1]
        yield [carried, done.chain(layer), done.trained[layer], done.automatic[layer]]


def _bias_gradients(done: Backward) -> Forms:
    automatic = torch.autograd.grad(done.cost, done.network.biases, retain_graph=True)
    for layer in done.network.layers:
        yield [done.trained[layer].sum(0).mT, automatic[layer - 1]]


def _weight_gradients(done: Backward) -> Forms:
    network = done.network
    automatic = torch.autograd.grad(done.cost, network.weights, retain_graph=True)
    activations = [network.inputs.mT, *network.activations]
    for layer in network.layers:
        delta = done.trained[layer]
        outer = delta @ columns(activations[layer - 1]).mT
        trained = network.weight_gradient(layer, delta.squeeze(-1).mT.unsqueeze(0))
        yield [outer.sum(0, keepdim=True), trained, automatic[layer - 1]]


EQUATIONS: list[Equation] = [
    ("2.4", "every Σ′(z) is the identity matrix", "Σ′(z) = I", _identities),
    ("2.4", "BP1: δ^L equals autograd's", "δ^L = ∇_a C", _output_errors),
    (
        "2.4",
        "BP2: δ^l, its chain of matrices, the code that trains and autograd agree",
        "δ^l = (W^(l+1))ᵀ δ^(l+1)",
        _hidden_errors,
    ),
    ("2.4", "BP3 stays as it is, and equals autograd's", "∂C/∂b^l = δ^l", _bias_gradients),
    (
        "2.4",
        "BP4 stays as it is: δ^l (a^(l-1))ᵀ, the code that trains and autograd agree",
        "∂C/∂w_jk^l = a_k^(l-1) δ_j^l",
        _weight_gradients,
    ),
]
