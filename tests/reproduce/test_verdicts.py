from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats  # pyright: ignore[reportMissingTypeStubs]

from pipeline.reproduce.verdicts import RULE, Estimate, Verdict, judge, paired_difference


def complete(*values: float) -> Estimate:
    return Estimate(values, len(values))


@pytest.mark.parametrize(
    ("values", "quantile"),
    [
        ((1.0, 3.0), 12.706),
        ((1.0, 2.0, 3.0), 4.303),
        ((1.0, 2.0, 3.0, 4.0, 5.0), 2.776),
        (tuple(map(float, range(24))), 2.069),
    ],
)
def test_the_intervals_are_students(values: tuple[float, ...], quantile: float):
    """The quantiles are those of the printed tables of t."""
    estimate = complete(*values)
    num, deviation = len(values), float(np.std(values, ddof=1))
    assert estimate.mean == pytest.approx(np.mean(values))
    assert estimate.deviation == pytest.approx(deviation)
    half_width = quantile * deviation / num**0.5
    assert estimate.half_width == pytest.approx(half_width, rel=2e-4)
    further = quantile * deviation * (1 + 1 / num) ** 0.5
    assert estimate.prediction_half_width == pytest.approx(further, rel=2e-4)


@pytest.mark.parametrize("num_seeds", [2, 5, 24])
def test_the_interval_of_the_mean_is_that_of_a_t_test(num_seeds: int):
    values = np.random.default_rng(num_seeds).normal(0.9, 0.01, num_seeds).tolist()
    estimate = complete(*values)
    interval = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert estimate.mean - estimate.half_width == pytest.approx(interval.low)
    assert estimate.mean + estimate.half_width == pytest.approx(interval.high)


@pytest.mark.parametrize("num_seeds", [3, 5])
def test_95_percent_of_further_seeds_fall_into_the_prediction_interval(num_seeds: int):
    rng = np.random.default_rng(0)
    inside = 0
    for *seeds, further in rng.normal(0, 0.001, (1000, num_seeds + 1)).tolist():
        verdict = judge(further + 0.9, complete(*[0.9 + seed for seed in seeds]), is_accuracy=True)
        inside += verdict is Verdict.INSIDE
    assert inside / 1000 == pytest.approx(0.95, abs=0.02)


def test_without_runs_there_is_no_number():
    nothing = Estimate((), 5)
    assert not nothing.is_complete
    for value in (nothing.mean, nothing.deviation, nothing.half_width):
        assert math.isnan(value)
    assert math.isnan(nothing.prediction_half_width)


def test_one_seed_has_a_mean_and_no_interval():
    one = complete(0.9)
    assert one.mean == 0.9
    assert math.isnan(one.half_width)
    assert math.isnan(one.prediction_half_width)


TIGHT = complete(0.9099, 0.91, 0.9101)
"""Further seeds fall within ±0.0005."""

SPREAD = complete(0.9, 0.91, 0.92)
"""Within ±0.0497."""

WIDE = complete(0.7, 0.8, 0.9)
"""Within ±0.497, but nearly everything does."""


@pytest.mark.parametrize(
    ("published", "ours", "verdict"),
    [
        (0.91, TIGHT, Verdict.INSIDE),
        (0.9104, TIGHT, Verdict.INSIDE),
        (0.9096, TIGHT, Verdict.INSIDE),
        (0.9106, TIGHT, Verdict.CLOSE),
        (0.9199, TIGHT, Verdict.CLOSE),
        (0.9001, TIGHT, Verdict.CLOSE),
        (0.9201, TIGHT, Verdict.DIFFERENT),
        (0.8999, TIGHT, Verdict.DIFFERENT),
        (0.9596, SPREAD, Verdict.INSIDE),
        (0.8604, SPREAD, Verdict.INSIDE),
        (0.9598, SPREAD, Verdict.DIFFERENT),
        (0.8602, SPREAD, Verdict.DIFFERENT),
        (0.8, WIDE, Verdict.UNSETTLED),
        (0.31, WIDE, Verdict.UNSETTLED),
        (0.30, WIDE, Verdict.DIFFERENT),
        (0.9, complete(0.86, 0.9, 0.95), Verdict.INSIDE),
        (0.9, complete(0.84, 0.9, 0.95), Verdict.UNSETTLED),
        (0.5, complete(0.5, 0.5, 0.5), Verdict.INSIDE),
        (0.8791, complete(0.8791, 0.8791, 0.8791), Verdict.INSIDE),
        (0.01, complete(0.0, 0.0), Verdict.CLOSE),
        (0.01, complete(0.02, 0.02), Verdict.CLOSE),
        (0.91, complete(0.9, 0.9), Verdict.CLOSE),
        (0.915, complete(0.91), Verdict.CLOSE),
        (0.91, complete(0.91), Verdict.CLOSE),
        (0.95, complete(0.91), Verdict.TOO_FEW),
        (0.95, complete(0.90, 0.94), Verdict.TOO_FEW),
        (0.5, complete(0.90, 0.94), Verdict.TOO_FEW),
        (0.925, complete(0.90, 0.94), Verdict.CLOSE),
        (0.91, Estimate(TIGHT.values, 4), Verdict.MISSING),
        (0.1, Estimate(TIGHT.values, 4), Verdict.MISSING),
        (0.91, Estimate((), 5), Verdict.MISSING),
        (0.91, Estimate((), 0), Verdict.MISSING),
    ],
)
def test_an_accuracy_is_judged_by_the_rule(published: float, ours: Estimate, verdict: Verdict):
    assert judge(published, ours, is_accuracy=True) is verdict


@pytest.mark.parametrize(
    ("published", "ours", "verdict"),
    [
        (2.0, complete(1.8, 2.0, 2.2), Verdict.INSIDE),
        (100.0, complete(95.0, 95.0), Verdict.CLOSE),
        (100.0, complete(105.0, 105.0), Verdict.CLOSE),
        (100.0, complete(94.9, 94.9), Verdict.TOO_FEW),
        (100.0, complete(94.9, 94.9, 94.9), Verdict.DIFFERENT),
        (100.0, complete(105.1, 105.1), Verdict.TOO_FEW),
        (100.0, complete(105.1, 105.1, 105.1), Verdict.DIFFERENT),
        (0.0316, complete(0.0326, 0.0326), Verdict.CLOSE),
        (0.0316, complete(0.0346, 0.0346, 0.0346), Verdict.DIFFERENT),
        (0.3, Estimate((0.3,), 2), Verdict.MISSING),
    ],
)
def test_a_loss_is_judged_by_its_share(published: float, ours: Estimate, verdict: Verdict):
    assert judge(published, ours, is_accuracy=False) is verdict


def test_only_inside_and_close_agree():
    assert [verdict for verdict in Verdict if verdict.agrees] == [Verdict.INSIDE, Verdict.CLOSE]


def test_the_rule_states_every_verdict_and_its_bounds():
    for verdict in Verdict:
        assert f"**{verdict}**" in RULE
    for bound in ("95%", "±1 point", "±5% of a loss", "5 points"):
        assert bound in RULE


def test_differences_are_paired_by_seed():
    difference = paired_difference([0.9, 0.8, 0.7], [0.89, 0.79, 0.69])
    assert difference.mean == pytest.approx(0.01)
    assert difference.deviation == pytest.approx(0, abs=1e-12)
    assert paired_difference([0.1], [0.4]).mean == pytest.approx(-0.3)


def test_a_seed_without_both_runs_does_not_count():
    difference = paired_difference([0.9, None, 0.7, None], [0.8, 0.8, None, None])
    assert difference.values == pytest.approx((0.1,))
    assert difference.num_seeds == 4
    assert not difference.is_complete


def test_columns_of_different_length_are_not_paired():
    with pytest.raises(ValueError, match="shorter"):
        paired_difference([0.9, 0.8], [0.9])
