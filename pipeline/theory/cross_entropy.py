"""Problems 3.1 and 3.2: which way round the cross-entropy goes, and where it is lowest."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.theory.claim import Claim, Outcome
from pipeline.theory.one_network import Loss

__all__ = ["binary_entropy", "check_cross_entropy", "cross_entropy"]

TOLERANCE = 1e-12
"""Largest difference of equal numbers around 1; float64 keeps some 16 digits."""
HUGE = 1e4
"""A weighted input z whose σ(z) rounds to 1."""


def cross_entropy(
    a: Float[Tensor, "*shape"], y: Float[Tensor, "*shape"]
) -> Float[Tensor, "*shape"]:
    """Return -[y ln a + (1 - y) ln(1 - a)] as it stands: not finite where that is undefined.

    Args:
        a: output, in (0, 1).
        y: target, in [0, 1].
    """
    return -(y * a.log() + (1 - y) * (1 - a).log())


def binary_entropy(y: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Return -[y ln y + (1 - y) ln(1 - y)] for y in [0, 1], where 0 ln 0 = 0."""
    return -(torch.xlogy(y, y) + torch.xlogy(1 - y, 1 - y))


def check_cross_entropy() -> list[Claim]:
    """Check Problems 3.1 and 3.2."""
    outputs = _outputs()
    targets = torch.linspace(0.02, 0.98, 49, dtype=torch.float64)
    return [
        *(_swapped(outputs, y) for y in (0, 1)),
        *(_right_way_round(outputs, y) for y in (0, 1)),
        _loss_that_trains(),
        _derivative(outputs, targets),
        _vanishes(targets),
        _is_lowest(outputs, targets),
        _is_entropy(targets),
    ]


def _outputs() -> Float[Tensor, " outputs"]:
    """Return values of a all over (0, 1), next to 0 and to 1 as well."""
    edges = torch.tensor([1e-300, 1e-9, 1 - 1e-9, 1 - 2**-53], dtype=torch.float64)
    return torch.cat([torch.linspace(0.001, 0.999, 999, dtype=torch.float64), edges])


def _swapped(outputs: Float[Tensor, " outputs"], y: int) -> Claim:
    costs = cross_entropy(torch.full_like(outputs, y), outputs)
    undefined = int((~costs.isfinite()).sum())
    return Claim(
        "3.1",
        f"with y and a swapped, the cross-entropy is undefined at y = {y}",
        f"{'-(1 - a) ln 0' if y else '-a ln 0'} is undefined",
        f"not finite for {undefined:,} of {len(outputs):,} values of a in (0, 1)",
        Outcome.proved(undefined == len(outputs)),
    )


def _right_way_round(outputs: Float[Tensor, " outputs"], y: int) -> Claim:
    costs = cross_entropy(outputs, torch.full_like(outputs, y))
    finite = int(costs.isfinite().sum())
    difference = _largest(costs + (outputs if y else 1 - outputs).log())
    return Claim(
        "3.1",
        f"the right way round, it is finite at y = {y}",
        f"C = {'-ln a' if y else '-ln(1 - a)'}",
        f"finite and equal to that for {finite:,} of {len(outputs):,} values of a in (0, 1)",
        Outcome.proved(finite == len(outputs) and difference < TOLERANCE),
    )


def _loss_that_trains() -> Claim:
    """Compare the ce loss of one output with the formula, and see it where σ(z) rounds to 1."""
    loss = Loss("ce", "sigmoid", "sum")
    z = torch.linspace(-5, 5, 101, dtype=torch.float64).repeat(2).view(1, 1, -1)
    y = (torch.arange(z.numel()) >= 101).double()
    labels = 1 - y.long().unsqueeze(0)  # class 0 is the output: right for y = 1
    difference = _largest(loss.value(z, labels) - cross_entropy(z.sigmoid(), y)[0])
    finite = bool(loss.value(HUGE / 5 * z, labels).isfinite().all())
    return Claim(
        "3.1",
        "the ce loss of the code that trains is the right one, and finite even where a rounds to "
        "0 or 1",
        "",
        f"differs by at most {difference:.1g}; "
        f"{'finite' if finite else 'not finite'} for |z| up to {HUGE:,.0f}",
        Outcome.proved(finite and difference < TOLERANCE),
    )


def _derivative(outputs: Float[Tensor, " outputs"], targets: Float[Tensor, " targets"]) -> Claim:
    inner = outputs[(outputs > 1e-3) & (outputs < 1 - 1e-3)]
    a, y = torch.meshgrid(inner, targets, indexing="ij")
    formula = -(y / a - (1 - y) / (1 - a))
    difference = _largest((_slope(a, y) - formula) / (1 + formula.abs()))
    return Claim(
        "3.2",
        "the derivative of the cross-entropy of one example by its output",
        "∂C/∂a = -[y/a - (1 - y)/(1 - a)]",
        f"largest relative difference from autograd {difference:.1g}",
        Outcome.proved(difference < TOLERANCE),
    )


def _vanishes(targets: Float[Tensor, " targets"]) -> Claim:
    largest = _largest(_slope(targets, targets))
    return Claim(
        "3.2",
        "the derivative vanishes at a = y, for y in (0, 1)",
        "∂C/∂a = 0",
        f"at most {largest:.1g} for {len(targets)} values of y",
        Outcome.proved(largest < TOLERANCE),
    )


def _is_lowest(outputs: Float[Tensor, " outputs"], targets: Float[Tensor, " targets"]) -> Claim:
    a, y = torch.meshgrid(outputs, targets, indexing="ij")
    elsewhere = (a - y).abs() > TOLERANCE
    higher = cross_entropy(a, y) > cross_entropy(y, y)
    towards = _slope(a, y) * (a - y) > 0
    holds = bool(((higher & towards) | ~elsewhere).all())
    return Claim(
        "3.2",
        "this is the minimum: C is higher at every other a, and falls on the way to y",
        "the cross-entropy cost is minimized",
        f"{'so' if holds else 'not so'} for {int(elsewhere.sum()):,} pairs of a and y",
        Outcome.proved(holds),
    )


def _is_entropy(targets: Float[Tensor, " targets"]) -> Claim:
    difference = _largest(cross_entropy(targets, targets) - binary_entropy(targets))
    return Claim(
        "3.2",
        "its value there is the binary entropy of y",
        "-[y ln y + (1 - y) ln(1 - y)]",
        f"largest difference {difference:.1g}",
        Outcome.proved(difference < TOLERANCE),
    )


def _slope(a: Float[Tensor, "*shape"], y: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Return ∂C/∂a by automatic differentiation."""
    leaf = a.clone().requires_grad_()
    (slope,) = torch.autograd.grad(cross_entropy(leaf, y).sum(), leaf)
    return slope


def _largest(differences: Tensor) -> float:
    return differences.abs().max().item()
