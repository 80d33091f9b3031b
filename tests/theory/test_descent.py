"""Problem 1.1: C falls below the bound on η, and the check notices where it doesn't."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch

from pipeline.theory.claim import Outcome
from pipeline.theory.descent import (
    CURVES,
    Curve,
    check_descent,
    costs_fall,
    costs_rise,
    descend,
)

QUADRATIC, QUARTIC, *_ = CURVES

by_name = pytest.mark.parametrize("curve", CURVES, ids=lambda curve: curve.name)


def test_every_claim_holds():
    claims = check_descent()
    assert [claim.problem for claim in claims] == ["1.1"] * 6
    assert {claim.outcome for claim in claims} == {Outcome.HOLDS}


@by_name
@pytest.mark.parametrize("fraction", [0.01, 0.3, 0.7, 0.99])
def test_the_cost_falls_below_the_bound(curve: Curve, fraction: float):
    assert costs_fall(curve, fraction)


@by_name
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
    assert not costs_fall(QUADRATIC, fraction)
    assert all(a * b < 0 for a, b in itertools.pairwise(descend(QUADRATIC, fraction, 5).tolist()))


def test_at_the_bound_a_quadratic_goes_to_and_fro():
    assert descend(QUADRATIC, 1, 4).tolist() == [-1, 1, -1, 1, -1]
    assert not costs_fall(QUADRATIC, 1)
    assert not costs_rise(QUADRATIC, 1)


def test_a_bound_from_too_narrow_an_interval_is_found_out(monkeypatch: pytest.MonkeyPatch):
    wrong = replace(QUARTIC, interval=(0.5, 0.7))
    assert not costs_fall(wrong, 0.95)
    monkeypatch.setattr("pipeline.theory.descent.CURVES", [QUADRATIC, wrong])
    outcomes = [claim.outcome for claim in check_descent()]
    assert outcomes == [Outcome.FAILS, Outcome.HOLDS, Outcome.FAILS, Outcome.HOLDS]
