"""What rliable has too: the same numbers from both."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Literal

import numpy as np
import pytest
from rliable import metrics

from pipeline.comparison.statistics import (
    bootstrap_interval,
    interquartile_mean,
    probability_of_improvement,
)


@pytest.fixture(name="library")
def rliable_library(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """rliable's own bootstrap, on the part of arch that it uses: the rest needs an older pandas."""
    spec = find_spec("arch")
    assert spec is not None
    monkeypatch.setitem(sys.modules, "arch", module_from_spec(spec))
    return import_module("rliable.library")


@pytest.mark.parametrize("num_runs", [1, 3, 4, 5, 10])
def test_point_estimates_are_those_of_rliable(num_runs: int):
    generator = np.random.default_rng(num_runs)
    first, second = np.rint(20 * generator.normal(size=(2, num_runs, 1))) / 20  # with ties
    theirs = float(metrics.aggregate_iqm(first))
    assert interquartile_mean(first[:, 0].tolist()) == pytest.approx(theirs, rel=1e-12)
    ours = probability_of_improvement(first[:, 0].tolist(), second[:, 0].tolist())
    theirs = float(metrics.probability_of_improvement(first, second))
    assert ours == pytest.approx(theirs, rel=1e-12)


@pytest.mark.parametrize(
    ("statistic", "theirs"), [("iqm", metrics.aggregate_iqm), ("mean", metrics.aggregate_mean)]
)
def test_the_stratified_bootstrap_is_that_of_rliable(
    library: ModuleType, statistic: Literal["iqm", "mean"], theirs: Callable[..., float]
):
    scores = np.random.default_rng(0).gamma(2.0, size=(8, 3)) + np.arange(3)
    np.random.seed(0)  # rliable draws from the global generator, whatever random_state it is given
    points, intervals = library.get_interval_estimates(
        {"ours": scores}, lambda x: np.array([theirs(x)]), reps=10_000
    )
    low, high = intervals["ours"][:, 0]
    ours = bootstrap_interval(scores.T.tolist(), statistic, num_draws=10_000)
    assert ours.value == pytest.approx(points["ours"][0], rel=1e-12)
    # The 2.5 % quantile of 10,000 normal draws has a standard error of 2.7 % of their deviation,
    # which is a fourth of the width; two such quantiles may be 4 standard errors apart.
    slack = 4 * math.sqrt(2) * 0.027 * (high - low) / 4
    assert (ours.low, ours.high) == pytest.approx((low, high), abs=slack)


@pytest.mark.parametrize(("num", "coverage"), [(5, 0.90), (20, 0.94)])
def test_the_bootstrap_covers_what_its_docstring_says(num: int, coverage: float):
    generator = np.random.default_rng(num)
    groups = generator.normal(size=(1500, num)).tolist()
    intervals = [bootstrap_interval([group], num_draws=1000) for group in groups]
    covered = [interval.low <= 0 <= interval.high for interval in intervals]
    assert np.mean(covered) == pytest.approx(coverage, abs=0.025)


def test_draws_in_parts_are_as_good_as_draws_at_once(monkeypatch: pytest.MonkeyPatch):
    values = np.random.default_rng(0).normal(size=200).tolist()
    whole = bootstrap_interval([values])
    monkeypatch.setattr("pipeline.comparison.statistics._MAX_DRAWN", 700)  # three draws a part
    parts = bootstrap_interval([values])
    assert parts.value == whole.value
    slack = (whole.high - whole.low) / 20
    assert (parts.low, parts.high) == pytest.approx((whole.low, whole.high), abs=slack)


def test_the_bootstrap_resamples_within_groups():
    """Groups of equal values have no spread, though the values together have."""
    interval = bootstrap_interval([[1.0] * 4, [5.0] * 4])
    assert (interval.low, interval.value, interval.high) == (3, 3, 3)


def test_a_group_that_cannot_be_resampled_leaves_no_interval():
    interval = bootstrap_interval([[1.0, 2.0], [3.0]], "mean")
    assert interval.value == 2.25
    assert np.isnan([interval.low, interval.high]).all()
    assert all(math.isnan(bootstrap_interval(groups).value) for groups in ([], [[], [1.0]]))
    with pytest.raises(ValueError, match="statistic='median': must be one of iqm, mean"):
        bootstrap_interval([[1.0, 2.0]], "median")  # pyright: ignore[reportArgumentType]


def test_the_bootstrap_is_repeatable():
    values = np.random.default_rng(0).normal(size=9).tolist()
    assert bootstrap_interval([values]) == bootstrap_interval([values[::-1]])
    assert bootstrap_interval([values]) != bootstrap_interval([values], seed=1)


def test_one_of_nothing_is_no_improvement():
    assert math.isnan(probability_of_improvement([], [1.0]))
    assert probability_of_improvement([2.0, 3.0], [1.0, 2.0]) == 3.5 / 4
