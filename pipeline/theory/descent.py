"""Problem 1.1: gradient descent in one dimension, and how large its steps may be.

With Δv = -ηC′(v), Taylor's theorem gives ΔC = C′(v)Δv + r with |r| ≤ ½ max|C″| Δv². The remainder
is thus at most the fraction η / (2 / max|C″|) of the first term, which is negative: below that
bound on η the cost falls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.theory.claim import Claim, Outcome

__all__ = ["CURVES", "Curve", "check_descent", "costs_fall", "costs_rise", "descend"]

FRACTIONS = (0.1, 0.5, 0.95)
"""Step sizes η at which C must fall, in units of the bound."""
NUM_STEPS = 50
ROUNDING = 1e-12
"""Steps that change C by less than this have arrived."""


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
        start: one end of the interval.
    """

    name: str
    cost: Function
    slope: Function
    curvature: Function
    interval: tuple[float, float]
    start: float

    @property
    def bound(self) -> float:
        """The step size 2 / max|C″| below which C falls at every step."""
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


def costs_fall(curve: Curve, fraction: float, num_steps: int = NUM_STEPS) -> bool:
    """Return whether C falls at every step, until nothing is left to gain."""
    points = descend(curve, fraction, num_steps)
    first_order = fraction * curve.bound * curve.slope(points[:-1]).square()
    falls = curve.cost(points).diff() < 0
    return bool((falls | (first_order < ROUNDING)).all())


def costs_rise(curve: Curve, fraction: float, num_steps: int = NUM_STEPS) -> bool:
    """Return whether C rises at every step: the path overshoots, further each time."""
    return bool((curve.cost(descend(curve, fraction, num_steps)).diff() > 0).all())


def check_descent() -> list[Claim]:
    """Check Problem 1.1 on several curves."""
    return [_first_order(), *(_falls(curve) for curve in CURVES), _overshoots(CURVES[0])]


def _first_order() -> Claim:
    fractions = torch.tensor([0.1, 0.01, 0.001], dtype=torch.float64)
    errors = [[_relative_error(curve, f.item()) for curve in CURVES] for f in fractions]
    worst = torch.tensor(errors, dtype=torch.float64).amax(1)
    return Claim(
        "1.1",
        f"ΔC ≈ C′(v)Δv for Δv = -ηC′(v), on {len(CURVES)} curves: "
        "the relative error is at most η · max|C″| / 2",
        "ΔC = C′(v) Δv",
        f"at most {_listed(worst)} where η · max|C″| / 2 is {_listed(fractions)}",
        Outcome.proved(bool((worst <= fractions + 1e-9).all())),
    )


def _relative_error(curve: Curve, fraction: float) -> float:
    """Return |ΔC - C′Δv| / |C′Δv| of the first step."""
    points = descend(curve, fraction, 1)
    first_order = curve.slope(points[:1]) * points.diff()
    return ((curve.cost(points).diff() - first_order) / first_order).abs().item()


def _falls(curve: Curve) -> Claim:
    falling = [fraction for fraction in FRACTIONS if costs_fall(curve, fraction)]
    return Claim(
        "1.1",
        f"C = {curve.name}: C falls at every step while η < 2 / max|C″| = {curve.bound:.3g}",
        "the cost C always decreases",
        f"falls for η = {_listed(falling) or 'none'} of the bound "
        f"at every one of {NUM_STEPS} steps, or until it has arrived",
        Outcome.proved(len(falling) == len(FRACTIONS)),
    )


def _overshoots(curve: Curve) -> Claim:
    below, above = 0.99, 1.01
    falls, rises = costs_fall(curve, below), costs_rise(curve, above)
    return Claim(
        "1.1",
        f"C = {curve.name}: beyond η = 2 / C″ = {curve.bound:g} every step overshoots and C rises",
        "ΔC is always negative (no bound on η)",
        f"η = {below}: {'falls' if falls else 'does not fall'} at every step; "
        f"η = {above}: {'rises' if rises else 'does not rise'} at every step",
        Outcome.proved(falls and rises),
    )


def _listed(numbers: Iterable[float | Tensor]) -> str:
    return ", ".join(f"{float(number):.2g}" for number in numbers)
