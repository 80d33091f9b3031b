"""Problems 2.1 to 2.3: backpropagation in matrix form, against the code that trains."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.config.schema import LossConfig
from pipeline.engine.backprop import DERIVATIVES
from pipeline.theory.claim import Claim, Verdict
from pipeline.theory.deep_network import Backward, Columns, DeepNetwork, backward, columns

__all__ = ["LOSSES", "NONLINEAR", "SEEDS", "agreement", "check_matrix_form"]

SEEDS = range(4)
NONLINEAR = ("sigmoid", "tanh", "relu")
LOSSES = [
    LossConfig(name, reduction)
    for name, reduction in itertools.product(("mse", "quadratic", "ce"), ("mean", "sum"))
]
TOLERANCE = 1e-12
"""Of the largest entry; float64 keeps some 16 digits."""


def check_matrix_form() -> list[Claim]:
    """Check Problems 2.1 to 2.3 on random deep networks with sigmoid outputs."""
    passes = [
        backward(DeepNetwork(activation, seed), loss)
        for activation, seed, loss in itertools.product(NONLINEAR, SEEDS, LOSSES)
    ]
    all_agree = "the matrix form, the elementwise form, the code that trains and autograd agree"
    return [
        agreement(
            "2.1", f"δ^L: {all_agree}", "δ^L = Σ′(z^L) ∇_a C", [_output_forms(p) for p in passes]
        ),
        agreement(
            "2.2",
            f"δ^l: {all_agree}",
            "δ^l = Σ′(z^l) (W^(l+1))ᵀ δ^(l+1)",
            itertools.chain.from_iterable(map(_hidden_forms, passes)),
        ),
        agreement(
            "2.3",
            "the chain of matrices from layer l to L, repeated BP2 and autograd agree",
            "δ^l = Σ′(z^l) (W^(l+1))ᵀ … Σ′(z^L) ∇_a C",
            itertools.chain.from_iterable(map(_chain_forms, passes)),
        ),
    ]


def _output_forms(done: Backward) -> list[Tensor]:
    logits, last = done.network.done.logits, done.network.layers[-1]
    return [
        done.sigma_primes[-1] @ done.cost_gradient,
        done.cost_gradient * _derivative("sigmoid", logits, logits.sigmoid()),
        done.trained[last],
        done.automatic[last],
    ]


def _hidden_forms(done: Backward) -> Iterator[list[Tensor]]:
    network, forward, automatic = done.network, done.network.done, done.automatic
    for layer in network.hidden_layers:
        carried = network.transposed_above(layer) @ done.trained[layer + 1]
        z, a = forward.weighted[layer - 1], forward.activations[layer - 1]
        yield [
            done.sigma_primes[layer - 1] @ carried,
            carried * _derivative(network.activation, z, a),
            done.trained[layer],
            automatic[layer],
        ]


def _derivative(activation: str, z: Tensor, a: Tensor) -> Columns:
    """Return σ′(z) as the code that trains has it."""
    derivative = DERIVATIVES[activation]
    assert derivative is not None, activation
    return columns(derivative(z, a))


def _chain_forms(done: Backward) -> Iterator[list[Tensor]]:
    automatic = done.automatic
    for layer in done.network.hidden_layers:
        yield [done.chain(layer), done.trained[layer], automatic[layer]]


def agreement(
    problem: str, statement: str, published: str, comparisons: Iterable[Sequence[Tensor]]
) -> Claim:
    """Return a claim that holds if all forms in each comparison are the same tensor.

    Args:
        problem: see `Claim`, like the next two.
        statement: see `Claim`.
        published: see `Claim`.
        comparisons: tensors that must be equal, up to rounding.
    """
    differences = torch.stack([_difference(forms) for forms in comparisons])
    largest = differences.max().item()
    return Claim(
        problem,
        statement,
        published,
        f"largest relative difference {largest:.1g} in {len(differences)} comparisons",
        Verdict.proved(largest < TOLERANCE),
    )


def _difference(forms: Sequence[Tensor]) -> Float[Tensor, ""]:
    """Return the largest difference from the first form, as a share of its largest entry."""
    first = forms[0]
    scale = first.abs().max().clamp(min=torch.finfo(first.dtype).tiny)
    return torch.stack([(form - first).abs().max() for form in forms[1:]]).max() / scale
