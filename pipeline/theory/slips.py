"""Slips of the pen in Problem 2: an index or a layer that stands where another one should.

Each is read as it is printed, number by number, beside what autograd gives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import cast

import torch
from torch import Tensor

from pipeline.theory.claim import Claim, Outcome, all_of, are_equal
from pipeline.theory.deep_network import Backward, DeepNetwork, backward
from pipeline.theory.matrix_form import SEEDS, WRONG
from pipeline.theory.one_network import find_loss

__all__ = ["Entry", "Reading", "check_slips"]

WIDTH = 4
"""Units of every layer, so that an index of one layer also names a unit of another."""

Entry = tuple[float, float]
"""A number by a reading of a formula, and the one that autograd gives."""

Reading = Callable[[Backward], Iterable[Entry]]
"""A way to read a formula: its numbers in a backward pass, unit by unit."""


def check_slips() -> list[Claim]:
    """Check what Problems 2.1, 2.2 and 2.4 print with a wrong index."""
    loss = find_loss("ce", "sigmoid")
    passes = [backward(DeepNetwork("sigmoid", seed, WIDTH), loss) for seed in SEEDS]
    return [_slip(passes, *slip) for slip in SLIPS]


def _slip(
    passes: Sequence[Backward],
    problem: str,
    statement: str,
    published: str,
    printed: Reading,
    right: Reading,
) -> Claim:
    """Return the claim that a formula is wrong as it is printed and right with other indices."""
    as_printed, corrected = (list(_errors(passes, reading)) for reading in (printed, right))
    wrong = sum(error > WRONG for error in as_printed)
    return Claim(
        problem,
        statement,
        published,
        f"as printed, {wrong:,} of {len(as_printed):,} numbers are off by more than {WRONG:.0%}; "
        f"corrected, all {len(corrected):,} are within {max(corrected, default=0):.0e} of autograd",
        Outcome.corrected(
            text=all_of(map(are_equal, as_printed)),
            ours=all_of(map(are_equal, corrected)),
        ),
    )


def _errors(passes: Sequence[Backward], reading: Reading) -> Iterator[float]:
    """Yield the relative errors of all numbers of a reading."""
    for done in passes:
        for value, automatic in reading(done):
            yield abs(value - automatic) / max(abs(automatic), 1e-300)


def _numbers(tensor: Tensor) -> list[list[float]]:
    """Return a matrix, or column vectors one below the other, as numbers row by row."""
    return cast("list[list[float]]", tensor.squeeze(-1).tolist())


def _output_errors(done: Backward, pairs: Sequence[tuple[int, int]]) -> Iterator[Entry]:
    """Yield σ′(z_j^L) ∂C/∂a_i^L beside δ_j^L, for pairs of j and i."""
    slopes = _numbers(done.sigma_primes[-1].diagonal(dim1=1, dim2=2))
    gradients = _numbers(done.cost_gradient)
    deltas = _numbers(done.automatic[done.network.layers[-1]])
    for slope, gradient, delta in zip(slopes, gradients, deltas, strict=True):
        yield from ((slope[j] * gradient[i], delta[j]) for j, i in pairs)


def _hidden_errors(done: Backward, slopes_of: Callable[[int], int]) -> Iterator[Entry]:
    """Yield σ′(z_j) Σ_k w_kj^(l+1) δ_k^(l+1) beside δ_j^l, where z is that of any layer."""
    for layer in done.network.hidden_layers:
        above = _numbers(done.network.transposed_above(layer))
        slopes = _numbers(done.sigma_primes[slopes_of(layer) - 1].diagonal(dim1=1, dim2=2))
        upper, deltas = (_numbers(done.automatic[number]) for number in (layer + 1, layer))
        for slope, errors, delta in zip(slopes, upper, deltas, strict=True):
            for j in range(WIDTH):
                carried = sum(w * error for w, error in zip(above[j], errors, strict=True))
                yield slope[j] * carried, delta[j]


def _bias_gradients(done: Backward, pairs: Sequence[tuple[int, int]]) -> Iterator[Entry]:
    """Yield δ_j^l, summed over the batch, beside ∂C/∂b_i^l, for pairs of j and i."""
    automatic = torch.autograd.grad(done.cost, done.network.biases, retain_graph=True)
    for layer in done.network.layers:
        (delta,) = _numbers(done.trained[layer].sum(0, keepdim=True))
        (gradient,) = _numbers(automatic[layer - 1])
        yield from ((delta[j], gradient[i]) for j, i in pairs)


ALL_PAIRS = [(j, i) for j in range(WIDTH) for i in range(WIDTH)]
SAME = [(j, j) for j in range(WIDTH)]

SLIPS: list[tuple[str, str, str, Reading, Reading]] = [
    (
        "2.1",
        "a slip in an index: the j-th element has ∂C/∂a_j^L, not ∂C/∂a_i^L",
        "σ′(z_j^L) · ∂C/∂a_i^L",
        lambda done: _output_errors(done, ALL_PAIRS),
        lambda done: _output_errors(done, SAME),
    ),
    (
        "2.2",
        "a slip in the layer: the j-th element has σ′(z_j^l), not σ′(z_j^L)",
        "σ′(z_j^L) · ((W^(l+1))ᵀ δ^(l+1))_j",
        lambda done: _hidden_errors(done, lambda _: done.network.layers[-1]),
        lambda done: _hidden_errors(done, lambda layer: layer),
    ),
    (
        "2.4",
        "a slip in an index of the first BP3: it is ∂C/∂b_j^l, as the second one has it",
        "∂C/∂b_i^l = δ_j^l",
        lambda done: _bias_gradients(done, ALL_PAIRS),
        lambda done: _bias_gradients(done, SAME),
    ),
]
