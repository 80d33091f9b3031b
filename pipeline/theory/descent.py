"""Problem 1.1: gradient descent in one dimension, and how large its steps may be.

With Δv = -ηC′(v), Taylor's theorem gives ΔC = C′(v)Δv + r with |r| ≤ ½M Δv², where M is the
largest |C″| between v and v + Δv. The remainder is thus at most the fraction ηM/2 of the first
term, -ηC′(v)²: where C′(v) ≠ 0 and η < 2/M, the cost falls. Where C′(v) = 0 nothing moves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.theory.claim import Claim, Outcome, all_of, all_true

__all__ = [
    "CURVES",
    "STATIONARY",
    "Curve",
    "check_descent",
    "costs_fall",
    "costs_rise",
    "descend",
]

FRACTIONS = (0.1, 0.5, 0.95)
"""Step sizes η at which C must fall, in units of the bound."""
NUM_STEPS = 50
ROUNDING = 1e-12
"""A step that changes C by less than this, to first order, has arrived and is not judged."""


Function = Callable[[Float[Tensor, " points"]], Float[Tensor, " points"]]


@dataclass(frozen=True)
class Curve:
    """A cost of one variable.

    Attributes:
        name: its formula.
        cost: C(v).
        slope: C′(v).
        curvature: C″(v).
        interval: holds every v that can be reached from the start without going up.
        start: where a path begins.
    """

    name: str
    cost: Function
    slope: Function
    curvature: Function
    interval: tuple[float, float]
    start: float

    @property
    def bound(self) -> float:
        """The step size 2 / max|C″| below which C falls wherever C′ ≠ 0."""
        v = torch.linspace(*self.interval, 1001, dtype=torch.float64)
        return 2 / self.curvature(v).abs().max().item()


CURVES = (
    Curve("v²", lambda v: v**2, lambda v: 2 * v, lambda v: torch.full_like(v, 2), (-1, 1), -1),
    Curve(
        "(v² - 1)²",
        lambda v: (v**2 - 1) ** 2,
        lambda v: 4 * v * (v**2 - 1),
        lambda v: 12 * v**2 - 4,
        (-1.6, 1.6),
        1.6,
    ),
    Curve("1 - cos v", lambda v: 1 - v.cos(), torch.sin, torch.cos, (-2.5, 2.5), 2.5),
    Curve("eᵛ - v", lambda v: v.exp() - v, torch.expm1, torch.exp, (-3, 1.5), 1.5),
)

STATIONARY = (
    replace(CURVES[0], start=0),
    replace(CURVES[1], start=0),
    Curve("v³", lambda v: v**3, lambda v: 3 * v**2, lambda v: 6 * v, (-1, 1), 0),
)
"""Curves that start where C′ = 0: at a minimum, a maximum and a point of inflection."""


def descend(curve: Curve, fraction: float, num_steps: int) -> Float[Tensor, " points"]:
    """Go down a curve by Δv = -ηC′(v).

    Args:
        curve: the cost to go down.
        fraction: η in units of the curve's bound, > 0.
        num_steps: how often v is changed.

    Returns:
        The start and the point after each step, float64.
    """
    v = torch.tensor([curve.start], dtype=torch.float64)
    points, rate = [v], fraction * curve.bound
    for _ in range(num_steps):
        v = v - rate * curve.slope(v)
        points.append(v)
    return torch.cat(points)


def costs_fall(curve: Curve, fraction: float, num_steps: int = NUM_STEPS) -> bool | None:
    """Return whether C falls at every step until the path arrives; None if it never moves."""
    points = descend(curve, fraction, num_steps)
    first_order = fraction * curve.bound * curve.slope(points[:-1]).square()
    falls = curve.cost(points).diff() < 0
    return all_true(falls[first_order >= ROUNDING])


def costs_rise(curve: Curve, fraction: float, num_steps: int = NUM_STEPS) -> bool:
    """Return whether C rises at every step: the path overshoots, further each time."""
    return bool((curve.cost(descend(curve, fraction, num_steps)).diff() > 0).all())


def check_descent() -> list[Claim]:
    """Check Problem 1.1 on several curves."""
    return [
        _first_order(),
        *(_falls(curve) for curve in CURVES),
        _overshoots(CURVES[0]),
        _stays(STATIONARY),
    ]


def _first_order() -> Claim:
    fractions = torch.tensor([0.1, 0.01, 0.001], dtype=torch.float64)
    errors = [[_relative_error(curve, f.item()) for curve in CURVES] for f in fractions]
    worst = torch.tensor(errors, dtype=torch.float64).amax(1)
    moved = bool(worst.isfinite().all())
    return Claim(
        "1.1",
        f"true to first order only: for Δv = -ηC′(v) on {len(CURVES)} curves, the relative error "
        "of C′(v)Δv is at most ηM/2 with M = max|C″|, and not 0",
        "ΔC = C′(v) Δv",
        f"at most {_listed(worst)} where ηM/2 is {_listed(fractions)}",
        Outcome.corrected(
            text=bool((worst < ROUNDING).all()) if moved else None,
            ours=bool((worst <= fractions + 1e-9).all()) if moved else None,
        ),
    )


def _relative_error(curve: Curve, fraction: float) -> float:
    """Return |ΔC - C′Δv| / |C′Δv| of the first step; NaN if it doesn't move."""
    points = descend(curve, fraction, 1)
    first_order = curve.slope(points[:1]) * points.diff()
    return ((curve.cost(points).diff() - first_order) / first_order).abs().item()


def _falls(curve: Curve) -> Claim:
    found = {fraction: costs_fall(curve, fraction) for fraction in FRACTIONS}
    falling = [fraction for fraction, falls in found.items() if falls]
    return Claim(
        "1.1",
        f"C = {curve.name}: from a point with C′ ≠ 0, C falls at every step while "
        f"η < 2 / max|C″| = {curve.bound:.3g}",
        "the cost C always decreases",
        f"falls for η = {_listed(falling) or 'none'} of the bound at every one of {NUM_STEPS} "
        f"steps, or until C′² η < {ROUNDING:g}",
        Outcome.proved(all_of(found.values())),
    )


def _overshoots(curve: Curve) -> Claim:
    below, above = 0.99, 1.01
    falls, rises = costs_fall(curve, below), costs_rise(curve, above)
    return Claim(
        "1.1",
        f"only with a bound on η: for C = {curve.name} it falls while η < 2 / C″ = "
        f"{curve.bound:g}, and beyond that every step overshoots and C rises",
        "it is guaranteed that ΔC is always negative (no bound on η)",
        f"η = {below}: {'falls' if falls else 'does not fall'} at every step; "
        f"η = {above}: {'rises' if rises else 'does not rise'} at every step",
        Outcome.corrected(
            text=costs_fall(curve, above), ours=None if falls is None else falls and rises
        ),
    )


def _stays(curves: Iterable[Curve]) -> Claim:
    changes = {
        f"{curve.name} at {curve.start:g}": curve.cost(descend(curve, 0.5, NUM_STEPS)).diff()
        for curve in curves
    }
    stays = {name: bool((change == 0).all()) for name, change in changes.items()}
    return Claim(
        "1.1",
        "only where C′(v) ≠ 0: where C′(v) = 0, at a maximum or a point of inflection as at a "
        "minimum, Δv = 0 and ΔC = 0",
        "it is guaranteed that ΔC is always negative",
        "; ".join(f"{name}: {'ΔC = 0' if still else 'moves'}" for name, still in stays.items()),
        Outcome.corrected(
            text=all_of(bool((change < 0).all()) for change in changes.values()),
            ours=all_of(stays.values()),
        ),
    )


def _listed(numbers: Iterable[float | Tensor]) -> str:
    return ", ".join(f"{float(number):.2g}" for number in numbers)
