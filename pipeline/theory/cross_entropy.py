"""Problems 3.1 and 3.2: which way round the cross-entropy goes, and where it is lowest.

With C = -[y ln a + (1 - y) ln(1 - a)] the slope is ∂C/∂a = (a - y) / (a(1 - a)), which vanishes at
a = y alone, for y in (0, 1). That makes a minimum because ∂²C/∂a² = y/a² + (1 - y)/(1 - a)² > 0.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.theory import decimals
from pipeline.theory.claim import ROUNDING, Claim, Outcome, all_of, all_true, are_equal
from pipeline.theory.decimals import fifty_digits
from pipeline.theory.one_network import find_loss

__all__ = ["binary_entropy", "check_cross_entropy", "cross_entropy"]

HUGE = 1e4
"""A weighted input z whose σ(z) rounds to 1."""
NEAR = 10.0 ** -torch.arange(1, 16, dtype=torch.float64)
"""Distances of a from a target of 0 or 1, which a = σ(z) never reaches."""


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
        _derivative(),
        _derivative_has_one_term(),
        _vanishes(targets),
        _is_minimum(outputs, targets),
        *(_approaches_limit(y) for y in (0, 1)),
        _is_entropy(targets),
    ]


def _outputs() -> Float[Tensor, " outputs"]:
    """Return values of a all over (0, 1), next to 0 and to 1 as well."""
    edges = torch.tensor([1e-300, 1e-9, 1 - 1e-9, 1 - 2**-53], dtype=torch.float64)
    return torch.cat([torch.linspace(0.001, 0.999, 999, dtype=torch.float64), edges])


def _pairs() -> tuple[Float[Tensor, " pairs"], Float[Tensor, " pairs"]]:
    """Return pairs of a and y, all combinations of 0.05, 0.1, …, 0.95."""
    grid = torch.linspace(0.05, 0.95, 19, dtype=torch.float64)
    a, y = torch.meshgrid(grid, grid, indexing="ij")
    return a.flatten(), y.flatten()


def _swapped(outputs: Float[Tensor, " outputs"], y: int) -> Claim:
    undefined = ~cross_entropy(torch.full_like(outputs, y), outputs).isfinite()
    return Claim(
        "3.1",
        f"with y and a swapped, the cross-entropy is undefined at y = {y}",
        f"{'-(1 - a) ln 0' if y else '-a ln 0'} is undefined",
        f"not finite for {int(undefined.sum()):,} of {len(outputs):,} values of a in (0, 1)",
        Outcome.proved(all_true(undefined)),
    )


def _right_way_round(outputs: Float[Tensor, " outputs"], y: int) -> Claim:
    def right(a: Decimal) -> Decimal:
        return -(a if y else 1 - a).ln()

    costs = cross_entropy(outputs, torch.full_like(outputs, y))
    equal = [are_equal(abs(d.item())) for d in costs - _in_digits(right, outputs)]
    return Claim(
        "3.1",
        f"the right way round, it is finite at y = {y}",
        f"C = {'-ln a' if y else '-ln(1 - a)'}",
        f"finite and equal to that in 50 digits for {equal.count(True):,} of {len(outputs):,} "
        "values of a in (0, 1)",
        Outcome.proved(all_of(equal)),
    )


def _loss_that_trains() -> Claim:
    """Compare the ce loss of one output with the formula, and see it where σ(z) rounds to 1."""
    loss = find_loss("ce", "sigmoid", "sum")
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
        Outcome.proved(all_of([finite, are_equal(difference)])),
    )


def _derivative() -> Claim:
    a, y = _pairs()
    formula = -(y / a - (1 - y) / (1 - a))
    by_hand = _in_digits(_slope_in_digits, a, y)
    relative = [(slope - formula) / (1 + formula.abs()) for slope in (_slope(a, y), by_hand)]
    automatic, numerical = (_largest(difference) for difference in relative)
    return Claim(
        "3.2",
        "the derivative of the cross-entropy of one example by its output",
        "∂C/∂a = -[y/a - (1 - y)/(1 - a)]",
        f"largest relative difference from autograd {automatic:.1g}, from central differences in "
        f"50 digits {numerical:.1g}",
        Outcome.proved(all_of(map(are_equal, (automatic, numerical)))),
    )


def _derivative_has_one_term() -> Claim:
    """Take two examples at a = 1/2: the printed sum vanishes, though neither output is right."""
    a, y = torch.tensor([[0.5, 0.5], [0.3, 0.7]], dtype=torch.float64)
    terms = -(y / a - (1 - y) / (1 - a)) / len(a)
    automatic = _slope(a, y) / len(a)
    return Claim(
        "3.2",
        "a slip: the derivative by the output of one of n examples has that example's term alone; "
        "the printed sum also vanishes at other outputs",
        "∂C/∂a = -(1/n) Σ_x [y/a - (1 - y)/(1 - a)]",
        f"for a = ({_listed(a)}) and y = ({_listed(y)}) the sum is {abs(terms.sum().item()):.1g}, "
        f"autograd's derivatives ({_listed(automatic)})",
        Outcome.corrected(
            text=are_equal(_largest(automatic - terms.sum())),
            ours=are_equal(_largest(automatic - terms)),
        ),
    )


def _vanishes(targets: Float[Tensor, " targets"]) -> Claim:
    slopes = [_slope(targets, targets), _in_digits(_slope_in_digits, targets, targets)]
    largest = _largest(torch.cat(slopes))
    return Claim(
        "3.2",
        "the derivative vanishes at a = y, for y in (0, 1)",
        "∂C/∂a = 0",
        f"at most {largest:.1g} for {len(targets)} values of y, by autograd and by central "
        "differences in 50 digits",
        Outcome.proved(are_equal(largest)),
    )


def _is_minimum(outputs: Float[Tensor, " outputs"], targets: Float[Tensor, " targets"]) -> Claim:
    a, y = torch.meshgrid(outputs, targets, indexing="ij")
    elsewhere = (a - y).abs() > ROUNDING
    higher = (cross_entropy(a, y) > cross_entropy(y, y))[elsewhere]
    towards = (_slope(a, y) * (a - y) > 0)[elsewhere]
    a, y = _pairs()
    curvatures = _in_digits(_curvature_in_digits, a, y)
    formula = y / a**2 + (1 - y) / (1 - a) ** 2
    difference = _largest(curvatures / formula - 1)
    convex = all_of([all_true(curvatures > 0), are_equal(difference)])
    return Claim(
        "3.2",
        "a slope of 0 alone is no minimum; this is one, and the only one: C is convex, "
        "∂²C/∂a² = y/a² + (1 - y)/(1 - a)² > 0, higher on both sides of y, and falls on the way to "
        "y",
        "∂C/∂a = 0, thus the cost is minimized",
        f"higher for {int(higher.sum()):,} and falling for {int(towards.sum()):,} of "
        f"{int(elsewhere.sum()):,} pairs of a and y; second derivative in 50 digits at least "
        f"{curvatures.min().item():.3g} and within {difference:.0e} of the formula",
        Outcome.proved(all_of([all_true(higher), all_true(towards), convex])),
    )


def _approaches_limit(y: int) -> Claim:
    a = (1 - NEAR) if y else NEAR
    target = torch.full_like(a, y)
    costs, slopes = cross_entropy(a, target), _slope(a, target)
    falls = bool((costs.diff() < 0).all() and (costs > 0).all() and costs[-1] < 2 * NEAR[-1])
    slope = slopes[-1].item()
    return Claim(
        "3.2",
        f"for y = {y} only as a limit: a = σ(z) never is {y}; C falls towards its bound of 0 as "
        f"a → {y}, and ∂C/∂a tends to {1 - 2 * y}, not to 0",
        "∂C/∂a = 0 when a = σ(z) = y",
        f"{NEAR[-1].item():.0e} from y, C = {costs[-1].item():.1e} and ∂C/∂a = {slope:.3f}; on the "
        f"way C {'falls' if falls else 'does not fall'} at each of {len(costs) - 1} steps",
        Outcome.proved(all_of([falls, are_equal(abs(slope - (1 - 2 * y)))])),
    )


def _is_entropy(targets: Float[Tensor, " targets"]) -> Claim:
    lowest = _in_digits(decimals.cross_entropy, targets, targets)
    forms = torch.stack([cross_entropy(targets, targets), binary_entropy(targets)])
    difference = _largest(forms - lowest)
    return Claim(
        "3.2",
        "its value there is the binary entropy of y",
        "-[y ln y + (1 - y) ln(1 - y)]",
        f"largest difference from C(y, y) in 50 digits {difference:.1g}",
        Outcome.proved(are_equal(difference)),
    )


def _slope(a: Float[Tensor, "*shape"], y: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Return ∂C/∂a by automatic differentiation."""
    leaf = a.clone().requires_grad_()
    (slope,) = torch.autograd.grad(cross_entropy(leaf, y).sum(), leaf)
    return slope


@fifty_digits()
def _in_digits(
    function: Callable[..., Decimal], *arguments: Float[Tensor, " values"]
) -> Float[Tensor, " values"]:
    """Return a function of numbers, computed one by one in 50 digits."""
    rows = torch.stack(arguments, dim=1)
    found = [float(function(*(Decimal(number.item()) for number in row))) for row in rows]
    return torch.tensor(found, dtype=torch.float64)


def _slope_in_digits(a: Decimal, y: Decimal) -> Decimal:
    return decimals.slope(lambda v: decimals.cross_entropy(v, y), a)


def _curvature_in_digits(a: Decimal, y: Decimal) -> Decimal:
    return decimals.curvature(lambda v: decimals.cross_entropy(v, y), a)


def _largest(differences: Tensor) -> float:
    return differences.abs().max().item()


def _listed(numbers: Tensor) -> str:
    return ", ".join(f"{number.item():.2g}" for number in numbers)
