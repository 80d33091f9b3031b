"""Problem 1.1: C falls where C′ ≠ 0 and η is small; the check notices where it doesn't."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch

from pipeline.theory.claim import Outcome
from pipeline.theory.descent import (
    CURVES,
    STATIONARY,
    Curve,
    check_descent,
    costs_fall,
    costs_rise,
    descend,
)

QUADRATIC, QUARTIC, *_ = CURVES

HOLDS, ERRATUM, FAILS = Outcome.HOLDS, Outcome.ERRATUM, Outcome.FAILS

by_name = pytest.mark.parametrize("curve", CURVES, ids=lambda curve: curve.name)


def outcomes() -> list[Outcome]:
    """Of the first-order equation, each curve, the missing bound on η, and C′ = 0."""
    return [claim.outcome for claim in check_descent()]


def test_the_cost_falls_on_conditions_that_the_text_leaves_out():
    assert [claim.problem for claim in check_descent()] == ["1.1"] * 7
    assert outcomes() == [ERRATUM, *[HOLDS] * 4, ERRATUM, ERRATUM]


@by_name
@pytest.mark.parametrize("fraction", [0.01, 0.3, 0.7, 0.99])
def test_the_cost_falls_below_the_bound(curve: Curve, fraction: float):
    assert costs_fall(curve, fraction) is True


@pytest.mark.parametrize("curve", CURVES + STATIONARY, ids=lambda c: f"{c.name}, {c.start}")
def test_slope_and_curvature_are_those_of_the_curve(curve: Curve):
    v = torch.linspace(*curve.interval, 7, dtype=torch.float64)
    for function, derivative in ((curve.cost, curve.slope), (curve.slope, curve.curvature)):
        expected = (function(v + 1e-5) - function(v - 1e-5)) / 2e-5
        torch.testing.assert_close(derivative(v), expected, rtol=1e-6, atol=1e-8)


@by_name
def test_the_interval_holds_whatever_can_be_reached_downhill(curve: Curve):
    low, high = curve.interval
    assert curve.start in (low, high)
    ends = torch.tensor([low, high, curve.start], dtype=torch.float64)
    costs = curve.cost(ends)
    assert (costs[:2] >= costs[2]).all()


def test_the_bound_of_a_quadratic_is_two_over_its_curvature():
    assert QUADRATIC.bound == pytest.approx(1)
    steeper = replace(QUADRATIC, curvature=lambda v: torch.full_like(v, 10))
    assert steeper.bound == pytest.approx(0.2)
    assert QUARTIC.bound == pytest.approx(2 / (12 * 1.6**2 - 4))


@pytest.mark.parametrize("fraction", [1.001, 1.5])
def test_a_quadratic_overshoots_above_the_bound(fraction: float):
    assert costs_rise(QUADRATIC, fraction)
    assert costs_fall(QUADRATIC, fraction) is False
    assert all(a * b < 0 for a, b in itertools.pairwise(descend(QUADRATIC, fraction, 5).tolist()))


def test_at_the_bound_a_quadratic_goes_to_and_fro():
    assert descend(QUADRATIC, 1, 4).tolist() == [-1, 1, -1, 1, -1]
    assert costs_fall(QUADRATIC, 1) is False
    assert not costs_rise(QUADRATIC, 1)


@pytest.mark.parametrize("curve", STATIONARY, ids=lambda curve: curve.name)
def test_where_the_slope_is_0_nothing_moves_and_nothing_falls(curve: Curve):
    assert set(descend(curve, 0.5, 5).tolist()) == {curve.start}
    assert costs_fall(curve, 0.5) is None
    assert not costs_rise(curve, 0.5)


def test_a_bound_from_too_narrow_an_interval_is_found_out(monkeypatch: pytest.MonkeyPatch):
    wrong = replace(QUARTIC, interval=(0.5, 0.7))
    assert costs_fall(wrong, 0.95) is False
    monkeypatch.setattr("pipeline.theory.descent.CURVES", [QUADRATIC, wrong])
    assert outcomes() == [FAILS, HOLDS, FAILS, ERRATUM, ERRATUM]


def test_a_path_that_goes_up_is_found_out(monkeypatch: pytest.MonkeyPatch):
    uphill = replace(QUADRATIC, slope=lambda v: -2 * v)
    monkeypatch.setattr("pipeline.theory.descent.CURVES", [uphill])
    assert outcomes() == [FAILS, FAILS, FAILS, ERRATUM]


def test_a_path_that_never_moves_decides_nothing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pipeline.theory.descent.CURVES", [replace(QUADRATIC, start=0)])
    assert outcomes() == [*[Outcome.UNDECIDED] * 3, ERRATUM]


def test_the_first_order_equation_is_exact_on_a_line(monkeypatch: pytest.MonkeyPatch):
    line = Curve("v", lambda v: v, torch.ones_like, lambda v: torch.full_like(v, 1), (-1, 1), 1)
    monkeypatch.setattr("pipeline.theory.descent.CURVES", [line])
    assert outcomes()[0] is HOLDS


def test_where_the_slope_is_not_0_a_path_that_should_stay_moves(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pipeline.theory.descent.STATIONARY", [QUADRATIC])
    assert outcomes()[-1] is FAILS
