"""Problems 2.1 to 2.3: backpropagation in matrix form, against the code that trains."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from torch import Tensor

from pipeline.theory.claim import Claim, Outcome, all_of, are_equal
from pipeline.theory.deep_network import Backward, DeepNetwork, backward, columns
from pipeline.theory.one_network import find_activation, find_loss

__all__ = [
    "SEEDS",
    "WRONG",
    "Equation",
    "Forms",
    "agreement",
    "check_equations",
    "check_matrix_form",
    "condition",
    "difference",
]

SEEDS = range(4)
NONLINEAR = ("sigmoid", "tanh", "relu")
LOSSES = [
    find_loss(name, "sigmoid", reduction)
    for name, reduction in itertools.product(("mse", "quadratic", "ce"), ("mean", "sum"))
]
SOFTMAX_LOSSES = [find_loss(name, "softmax") for name in ("mse", "quadratic", "ce", "nll")]
WRONG = 0.01
"""Least relative difference of tensors that are said to be different."""


Forms = Iterator[list[Tensor]]
"""Tensors that must be the same, comparison by comparison."""

Equation = tuple[str, str, str, Callable[[Backward], Forms]]
"""The first three of a `Claim`, and which forms of a backward pass must be the same."""


def check_matrix_form() -> list[Claim]:
    """Check Problems 2.1 to 2.3 on random deep networks, and what 2.1 takes for granted."""
    passes = [
        backward(DeepNetwork(activation, seed), loss)
        for activation, seed, loss in itertools.product(NONLINEAR, SEEDS, LOSSES)
    ]
    with_softmax = [
        backward(DeepNetwork("tanh", seed), loss)
        for seed, loss in itertools.product(SEEDS, SOFTMAX_LOSSES)
    ]
    first, *others = check_equations(EQUATIONS, passes)
    return [first, condition(with_softmax), *others]


def check_equations(equations: Iterable[Equation], passes: Sequence[Backward]) -> list[Claim]:
    """Return a claim for each equation: that it holds in every one of the passes."""
    return [
        agreement(
            problem, statement, published, itertools.chain.from_iterable(map(forms_of, passes))
        )
        for problem, statement, published, forms_of in equations
    ]


def _output_forms(done: Backward) -> Forms:
    logits, last = done.network.logits, done.network.layers[-1]
    sigma_prime = find_activation("sigmoid").derivative(logits, logits.sigmoid())
    yield [
        done.sigma_primes[-1] @ done.cost_gradient,
        done.cost_gradient * columns(sigma_prime),
        done.trained[last],
        done.automatic[last],
    ]


def _hidden_forms(done: Backward) -> Forms:
    network = done.network
    for layer in network.hidden_layers:
        carried = network.transposed_above(layer) @ done.trained[layer + 1]
        z, a = network.weighted[layer - 1], network.activations[layer - 1]
        yield [
            done.sigma_primes[layer - 1] @ carried,
            carried * columns(find_activation(network.activation).derivative(z, a)),
            done.trained[layer],
            done.automatic[layer],
        ]


def _chain_forms(done: Backward) -> Forms:
    for layer in done.network.hidden_layers:
        yield [done.chain(layer), done.trained[layer], done.automatic[layer]]


def condition(passes: Sequence[Backward]) -> Claim:
    """Return the claim that 2.1 takes the whole Jacobian where an output depends on all logits.

    Args:
        passes: of networks with softmax outputs.
    """
    last = [(done, done.network.layers[-1], done.sigma_primes[-1].mT) for done in passes]
    whole = [
        difference([jacobian @ done.cost_gradient, done.trained[layer], done.automatic[layer]])
        for done, layer, jacobian in last
    ]
    diagonal = [
        difference(
            [done.automatic[layer], jacobian * torch.eye(len(jacobian[0])) @ done.cost_gradient]
        )
        for done, layer, jacobian in last
    ]
    return Claim(
        "2.1",
        "on condition that a_j depends on z_j alone: with softmax outputs Σ′ is the whole "
        "Jacobian diag(a) - a aᵀ, and its diagonal alone gives a wrong δ^L",
        "Σ′(z^L) is a diagonal matrix",
        f"the whole Jacobian: largest relative difference {max(whole, default=0):.1g}; its "
        f"diagonal: {min(diagonal, default=0):.0%} to {max(diagonal, default=0):.0%}; in "
        f"{len(passes)} comparisons",
        Outcome.proved(all_of([*map(are_equal, whole), *(d > WRONG for d in diagonal)])),
    )


def agreement(
    problem: str, statement: str, published: str, comparisons: Iterable[Sequence[Tensor]]
) -> Claim:
    """Return a claim that holds if all tensors in each comparison are equal, up to rounding.

    Comparisons of nothing but zeros say nothing and don't count; without others it is not decided.

    Args:
        problem: as in `Claim`, like the next two.
        statement: as in `Claim`.
        published: as in `Claim`.
        comparisons: forms of the same tensor.
    """
    telling = (forms for forms in comparisons if any(form.any() for form in forms))
    differences = [difference(forms) for forms in telling]
    largest = max(differences, default=math.nan)
    return Claim(
        problem,
        statement,
        published,
        f"largest relative difference {largest:.1g} in {len(differences)} comparisons",
        Outcome.proved(all_of(map(are_equal, differences))),
    )


def difference(forms: Sequence[Tensor]) -> float:
    """Return the largest difference from the first form, as a share of its largest entry."""
    first = forms[0]
    scale = first.abs().max().clamp(min=torch.finfo(first.dtype).tiny)
    return (torch.stack([(form - first).abs().max() for form in forms[1:]]).max() / scale).item()


ALL_AGREE = "the matrix form, the elementwise form, the code that trains and autograd agree"

EQUATIONS: list[Equation] = [
    ("2.1", f"δ^L: {ALL_AGREE}", "δ^L = Σ′(z^L) ∇_a C", _output_forms),
    ("2.2", f"δ^l: {ALL_AGREE}", "δ^l = Σ′(z^l) (W^(l+1))ᵀ δ^(l+1)", _hidden_forms),
    (
        "2.3",
        "the chain of matrices from layer l to L, repeated BP2 and autograd agree",
        "δ^l = Σ′(z^l) (W^(l+1))ᵀ … Σ′(z^L) ∇_a C",
        _chain_forms,
    ),
]
