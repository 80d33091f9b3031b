"""Intervals and chances over seeds, against scipy and against simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats  # pyright: ignore[reportMissingTypeStubs]

from pipeline.reproduce.estimate import Draws, Interval, Kind

SEEDS = tuple(np.random.default_rng(0).normal(0.9, 0.002, 20).tolist())


def ends(interval: Interval) -> tuple[float, float]:
    return interval.lower, interval.upper


@pytest.mark.parametrize("num_seeds", [2, 5, 20])
@pytest.mark.parametrize("level", [0.95, 0.999])
def test_the_interval_of_the_mean_is_students(num_seeds: int, level: float):
    draws = Draws.over(SEEDS[:num_seeds])
    values = draws.values
    expected = stats.t.interval(level, num_seeds - 1, np.mean(values), stats.sem(values))
    assert ends(draws.mean_interval(level)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("kind", "of", "share"), [("one", 1, 1 + 1 / 20), ("mean", 5, 1 / 5 + 1 / 20)]
)
def test_the_interval_of_one_more_adds_its_own_spread(kind: Kind, of: int, share: float):
    draws = Draws.over(SEEDS, kind, of)
    scale = np.std(SEEDS, ddof=1) * math.sqrt(share)
    expected = stats.t.interval(0.95, 19, np.mean(SEEDS), scale)
    assert ends(draws.interval(0.95)) == pytest.approx(expected)
    assert draws.center == pytest.approx(np.mean(SEEDS))


def test_quantiles_are_those_of_the_printed_tables():
    """t of 2 degrees of freedom is 4.303 at 95 %."""
    half = Draws.over([1.0, 2.0, 3.0]).interval(0.95).half_width
    assert half == pytest.approx(4.303 * math.sqrt(1 + 1 / 3), rel=1e-4)


def test_the_best_of_one_is_one_more():
    one, best = Draws.over(SEEDS, "one"), Draws.over(SEEDS, "best", 1)
    spread = one.deviation
    for level in (0.8, 0.95, 0.99):
        wanted = pytest.approx(ends(one.interval(level)), abs=0.06 * spread)
        assert ends(best.interval(level)) == wanted
    assert best.center == pytest.approx(one.mean, abs=0.02 * spread)


@pytest.mark.parametrize(("kind", "of"), [("one", 1), ("mean", 4), ("best", 5)])
@pytest.mark.parametrize("num_seeds", [3, 10])
def test_one_more_falls_into_its_interval_as_often_as_is_said(kind: Kind, of: int, num_seeds: int):
    """Every time other seeds, and other runs of which the published number is made."""
    rng = np.random.default_rng(1)
    make = {"one": np.mean, "mean": np.mean, "best": np.max}[kind]
    num_times = 60 if kind == "best" else 300
    inside = 0
    for _ in range(num_times):
        ours = Draws.over(rng.normal(0.9, 0.01, num_seeds).tolist(), kind, of)
        inside += ours.interval(0.9).holds(float(make(rng.normal(0.9, 0.01, of))))
    assert inside / num_times == pytest.approx(0.9, abs=0.08)


def test_the_best_of_many_of_well_known_runs_is_what_brute_force_says():
    rng = np.random.default_rng(2)
    of = 10
    draws = Draws.over(stats.norm.ppf((np.arange(2000) + 0.5) / 2000).tolist(), "best", of)
    best = rng.standard_normal((100_000, of)).max(axis=1)
    wanted = np.quantile(best, [0.025, 0.975])
    assert ends(draws.interval(0.95)) == pytest.approx(wanted, abs=0.03)
    assert draws.center == pytest.approx(np.median(best), abs=0.03)
    assert draws.p_value(float(wanted[1])) == pytest.approx(0.05, abs=0.01)


@pytest.mark.parametrize(("kind", "of"), [("one", 1), ("mean", 4), ("best", 5)])
@pytest.mark.parametrize("level", [0.9, 0.99])
def test_the_chance_at_an_end_of_an_interval_is_what_it_leaves_out(
    kind: Kind, of: int, level: float
):
    draws = Draws.over(SEEDS, kind, of)
    for end in ends(draws.interval(level)):
        assert draws.p_value(end) == pytest.approx(1 - level, rel=0.03)
    assert draws.p_value(draws.center) == pytest.approx(1, abs=0.01)
    assert draws.p_value(0.95) < draws.p_value(0.91) < 1 - level


@pytest.mark.parametrize("kind", ["one", "mean", "best"])
def test_seeds_that_all_gave_the_same_leave_no_doubt(kind: Kind):
    """Rounding alone is no difference: float32 and printed decimals end somewhere."""
    same = Draws.over([0.1135] * 5, kind, 1 if kind == "one" else 3)
    assert ends(same.interval(0.99)) == pytest.approx((0.1135, 0.1135))
    assert same.interval(0.99).holds(0.1135 + 5e-7)
    assert not same.interval(0.99).holds(0.1136)
    assert same.p_value(0.1135 + 5e-7) == 1
    assert same.p_value(0.1136) < 1e-4


def test_without_runs_there_is_no_number():
    nothing = Draws.over([None, None])
    assert (nothing.values, nothing.num_seeds, nothing.is_complete) == ((), 2, False)
    assert not Draws.over([]).is_complete
    for value in (nothing.mean, nothing.deviation, nothing.center, *ends(nothing.interval(0.9))):
        assert math.isnan(value)


@pytest.mark.parametrize("kind", ["one", "mean", "best"])
def test_one_seed_is_a_number_without_an_interval(kind: Kind):
    one = Draws.over([0.9], kind, 1 if kind == "one" else 5)
    assert one.mean == one.center == 0.9
    assert all(map(math.isnan, [*ends(one.interval(0.9)), *ends(one.mean_interval())]))


def test_a_seed_without_a_run_is_a_hole():
    holed = Draws.over([0.9, None, 0.8])
    assert holed.values == (0.9, 0.8)
    assert holed.num_seeds == 3
    assert not holed.is_complete


def test_a_density_is_students_and_never_narrower_than_it_may_be():
    draws = Draws.over(SEEDS)
    scale = draws.deviation * math.sqrt(1 + 1 / 20)
    expected = stats.t.logpdf(0.905, 19, draws.mean, scale)
    assert draws.log_density(0.905, 1e-9) == pytest.approx(expected)
    same = Draws.over([0.9] * 5)
    wide = 0.002 * math.sqrt(1 + 1 / 5)
    assert same.log_density(0.9, 0.002) == pytest.approx(stats.t.logpdf(0, 4, 0, wide))
