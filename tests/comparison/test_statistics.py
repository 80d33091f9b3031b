"""Each statistic against simulations with a known effect and against scipy.stats."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from scipy import stats

from pipeline.comparison.statistics import (
    CONFIDENCE,
    POWER,
    Difference,
    Interval,
    Values,
    bootstrap_interval,
    expected_highest_mean,
    expected_maximum,
    holm,
    interquartile_mean,
    is_equivalent,
    mean_interval,
    paired_difference,
    probability_of_improvement,
    seeds_needed,
)

LEVEL = 1 - CONFIDENCE


def at_most(probability: float, num: int) -> float:
    """The largest share of num draws that a probability explains: 3 standard errors above it."""
    return probability + 3 * math.sqrt(probability * (1 - probability) / num)


def by_seed(values: Values) -> dict[int, float]:
    return dict(enumerate(values))


def is_inside(interval: Interval | Difference, value: float) -> bool:
    return interval.low <= value <= interval.high


def test_the_interval_of_a_mean_is_students():
    """With the 97.5 % quantile of a printed table of t, for 2 degrees of freedom: 4.303."""
    interval = mean_interval([1.0, 2.0, 3.0])
    assert interval.value == 2
    assert interval.half_width == pytest.approx(4.303 / 3**0.5, rel=1e-4)
    assert (interval.low + interval.high) / 2 == pytest.approx(2)


def test_interval_and_p_are_those_of_scipy_stats():
    generator = np.random.default_rng(0)
    for num in (2, 5, 40):
        first, second = generator.normal(0.2, 1, (2, num)).tolist()
        ours = paired_difference(by_seed(first), by_seed(second))
        theirs = stats.ttest_rel(first, second)
        interval = theirs.confidence_interval(CONFIDENCE)
        assert ours.p == pytest.approx(theirs.pvalue, rel=1e-9)
        assert (ours.low, ours.high) == pytest.approx((interval.low, interval.high), rel=1e-9)
        one = mean_interval(first)
        interval = stats.ttest_1samp(first, 0).confidence_interval(CONFIDENCE)
        assert (one.low, one.high) == pytest.approx((interval.low, interval.high), rel=1e-9)


@pytest.mark.parametrize("num_seeds", [2, 5, 20])
def test_95_percent_of_the_intervals_have_the_true_value_in_them(num_seeds: int):
    generator = np.random.default_rng(num_seeds)
    shape = (4000, num_seeds)
    shared = generator.normal(0, 2, shape)
    first, second = (
        shared + generator.normal(0.7, 1, shape),
        shared + generator.normal(0.4, 1, shape),
    )
    means = [is_inside(mean_interval(values), 0.7) for values in first.tolist()]
    differences = [
        is_inside(paired_difference(by_seed(ours), by_seed(theirs)), 0.3)
        for ours, theirs in zip(first.tolist(), second.tolist(), strict=True)
    ]
    assert np.mean(means) == pytest.approx(CONFIDENCE, abs=0.02)
    assert np.mean(differences) == pytest.approx(CONFIDENCE, abs=0.02)


def test_too_few_values_have_no_interval():
    assert math.isnan(mean_interval([]).value)
    one = mean_interval([0.9])
    assert one.value == 0.9
    assert np.isnan([one.low, one.high, one.half_width]).all()
    unpaired = paired_difference({0: 0.9}, {1: 0.8})
    assert unpaired.num_pairs == 0
    assert math.isnan(unpaired.value)
    single = paired_difference({0: 0.9, 1: 0.7}, {1: 0.5, 2: 0.1})
    assert single.num_pairs == 1
    assert single.value == pytest.approx(0.2)
    assert np.isnan([single.low, single.high, single.p, single.deviation]).all()


def test_a_number_that_is_not_finite_makes_the_answer_nan():
    for number in (math.nan, math.inf):
        values = [0.1, 0.2, number, 0.4, 0.5]
        others = [0.3, 0.1, 0.2, 0.2, 0.2]
        difference = paired_difference(by_seed(values), by_seed(others))
        answers = [
            mean_interval(values).value,
            difference.value,
            difference.p,
            interquartile_mean(values),
            bootstrap_interval([values, others]).low,
            probability_of_improvement(values, others),
            expected_maximum(values, 2),
        ]
        assert np.isnan(answers).all()


def test_equal_values_give_an_interval_of_no_width():
    """0.1 three times: their sum isn't 0.3 in binary."""
    assert mean_interval([0.1] * 3) == Interval(0.1, 0.1, 0.1)


def test_differences_are_by_seed_whatever_the_order():
    first, second = {0: 0.1, 1: 0.2, 2: 0.4}, {2: 0.1, 0: 0.2, 1: 0.1}
    difference = paired_difference(first, second)
    assert difference.value == pytest.approx((-0.1 + 0.1 + 0.3) / 3)
    assert difference == paired_difference(dict(reversed(first.items())), second)


def test_numbers_that_are_equal_but_for_rounding_have_no_difference():
    first = dict.fromkeys(range(5), 0.1 + 0.2)
    second = dict.fromkeys(range(5), 0.3)
    assert first != second
    assert paired_difference(first, second) == Difference(0, 0, 0, 1, 5, 0)


def test_equal_differences_have_the_p_of_turning_signs_round():
    first = {seed: 0.1 * seed + 0.3 for seed in range(6)}
    second = {seed: 0.1 * seed for seed in range(6)}
    difference = paired_difference(first, second)
    assert difference.value == pytest.approx(0.3)
    assert difference.p == 2 / 2**6
    assert np.isnan([difference.low, difference.high, difference.deviation]).all()


@pytest.mark.parametrize("num_seeds", [2, 3])
def test_a_coarse_metric_errs_no_more_often(num_seeds: int):
    """On 100 examples accuracies take few values: two differences are often the same by chance."""
    generator = np.random.default_rng(num_seeds)
    counts = np.rint(generator.normal(50, 0.7, (2, 4000, num_seeds))) / 100
    pairs = zip(*counts.tolist(), strict=True)
    differences = [paired_difference(by_seed(a), by_seed(b)) for a, b in pairs]
    assert sum(math.isnan(difference.low) for difference in differences) > 50
    assert np.mean([difference.p < LEVEL for difference in differences]) < at_most(LEVEL, 4000)


def test_paired_beats_unpaired_where_seeds_share_what_varies():
    generator = np.random.default_rng(0)
    shared = generator.normal(0, 1, (1000, 5))
    first = shared + generator.normal(1, 0.4, shared.shape)
    second = shared + generator.normal(0, 0.4, shared.shape)
    paired = [
        paired_difference(by_seed(a), by_seed(b))
        for a, b in zip(first.tolist(), second.tolist(), strict=True)
    ]
    unpaired = stats.ttest_ind(first, second, axis=1, equal_var=False)
    interval = unpaired.confidence_interval(CONFIDENCE)
    widths = np.array([difference.high - difference.low for difference in paired])
    assert np.mean(widths < interval.high - interval.low) > 0.95
    power = np.mean([difference.p < LEVEL for difference in paired])
    assert power > np.mean(np.asarray(unpaired[1]) < LEVEL) + 0.3


def test_holms_method_by_hand():
    """1: 4 · 0.01. 2: 3 · 0.02. 3: 2 · 0.03, the same. 4: 0.04 would be less than those before."""
    p_values = [0.04, 0.01, math.nan, 0.03, 0.02]
    assert holm(p_values) == pytest.approx([0.06, 0.04, math.nan, 0.06, 0.06], nan_ok=True)
    assert holm([0.7, 0.9]) == [1, 1]
    assert holm([]) == []


@pytest.mark.parametrize("num_effects", [0, 3])
def test_holms_method_keeps_the_family_wise_error(num_effects: int):
    """Six choices against one baseline, five seeds; an error is to settle one that is no better."""
    num_families, num_choices = 1500, 6
    generator = np.random.default_rng(num_effects)
    effects = np.where(np.arange(num_choices) < num_effects, 20.0, 0.0)
    adjusted_errs = plain_errs = 0
    for _ in range(num_families):
        baseline = by_seed(generator.normal(size=5))
        choices = effects[:, None] + generator.normal(size=(num_choices, 5))
        p_values = [paired_difference(by_seed(choice), baseline).p for choice in choices]
        plain_errs += min(p_values[num_effects:]) < LEVEL
        adjusted_errs += min(holm(p_values)[num_effects:]) < LEVEL
    assert adjusted_errs / num_families < at_most(LEVEL, num_families)
    assert adjusted_errs > 0
    assert plain_errs / num_families > 0.09


@pytest.mark.parametrize("num_pairs", [5, 20])
@pytest.mark.parametrize(
    ("difference", "num_comparisons"), [(0.3, 1), (0.5, 1), (1.0, 1), (0.5, 6), (1.0, 6)]
)
def test_the_seeds_that_are_needed_reach_the_power(
    num_pairs: int, difference: float, num_comparisons: int
):
    """On average over what pilots say of a deviation of 1; the power of each n is exact."""
    generator = np.random.default_rng(num_pairs)
    freedom = num_pairs - 1
    pilots = np.sqrt(generator.chisquare(freedom, 3000) / freedom)
    needed = [
        seeds_needed(pilot, num_pairs, difference, num_comparisons=num_comparisons)
        for pilot in pilots.tolist()
    ]
    num = np.array(needed, dtype=float)
    critical = stats.t.ppf(1 - LEVEL / 2 / num_comparisons, num - 1)
    powers = stats.nct.sf(critical, num - 1, difference * np.sqrt(num))
    error = powers.std() / math.sqrt(len(powers))
    assert POWER - 3 * error <= powers.mean() < 0.9


def test_experiments_with_the_seeds_that_are_needed_find_the_difference():
    """Pilot, plan and experiment, each drawn."""
    generator = np.random.default_rng(0)

    def is_found() -> bool:
        pilot = paired_difference(by_seed(generator.normal(0.8, 1, 5)), dict.fromkeys(range(5), 0))
        needed = seeds_needed(pilot.deviation, 5, 0.8)
        assert needed is not None
        values = by_seed(generator.normal(0.8, 1, needed))
        return paired_difference(values, dict.fromkeys(values, 0)).p < LEVEL

    assert np.mean([is_found() for _ in range(2000)]) == pytest.approx(POWER + 0.01, abs=0.03)


def test_testing_again_with_more_seeds_errs_as_often_as_the_docstring_says():
    generator = np.random.default_rng(0)
    zeros = dict.fromkeys(range(20), 0.0)

    def errs() -> bool:
        values = generator.normal(size=20)
        looks = (values[:5], values)
        return any(paired_difference(by_seed(look), zeros).p < LEVEL for look in looks)

    assert 0.08 < np.mean([errs() for _ in range(4000)]) < 0.105


def test_more_seeds_are_needed_for_less():
    few = seeds_needed(1, 5, 1)
    assert few is not None
    for more in (
        seeds_needed(1, 5, 0.5),
        seeds_needed(2, 5, 1),
        seeds_needed(1, 3, 1),
        seeds_needed(1, 5, 1, num_comparisons=5),
        seeds_needed(1, 5, 1, power=0.95),
    ):
        assert more is not None
        assert more > few


def test_the_number_of_seeds_is_the_smallest_by_scipy_stats():
    needed = seeds_needed(1, 8, 0.6, num_comparisons=3)
    assert needed is not None

    def is_enough(num: int) -> bool:
        critical = stats.t.ppf(1 - LEVEL / 6, num - 1)
        return bool(stats.nct.ppf(POWER, 7, critical) / math.sqrt(num) <= 0.6)

    assert is_enough(needed)
    assert not is_enough(needed - 1)


def test_seeds_that_cannot_be_told_are_none():
    assert seeds_needed(1, 1, 0.5) is None
    assert seeds_needed(math.nan, 5, 0.5) is None
    assert seeds_needed(1, 5, 0.001) is None
    assert seeds_needed(0, 5, 0.001) == 2
    with pytest.raises(ValueError, match="num_comparisons=0: must be 1 or more"):
        seeds_needed(1, 5, 0.5, num_comparisons=0)


def test_equivalence_rarely_errs_at_the_margin():
    """Where the true difference is the margin, each "too small to matter" is an error."""
    generator = np.random.default_rng(0)
    zeros = dict.fromkeys(range(8), 0.0)
    differences = [
        paired_difference(by_seed(values), zeros) for values in generator.normal(1, 0.3, (4000, 8))
    ]
    errs = np.mean([is_equivalent(difference, 1) for difference in differences])
    assert 0 < errs < at_most(LEVEL / 2, 4000)
    assert np.mean([is_equivalent(difference, 2) for difference in differences]) > 0.95


def test_equivalence_needs_the_whole_interval():
    assert is_equivalent(Difference(0, -0.9, 0.9, 1, 5, 1), 1)
    assert not is_equivalent(Difference(0, -0.9, 1.1, 1, 5, 1), 1)
    assert not is_equivalent(Difference(0, -1.1, 0.9, 1, 5, 1), 1)
    assert not is_equivalent(paired_difference({0: 0.5}, {0: 0.5}), 1)


@pytest.mark.parametrize("k", [1, 2, 5, 30])
def test_the_expected_maximum_is_that_of_drawing(k: int):
    generator = np.random.default_rng(k)
    values = generator.normal(size=12)
    maxima = generator.choice(values, (20_000, k)).max(axis=1)
    error = maxima.std() / math.sqrt(len(maxima))
    assert expected_maximum(values.tolist(), k) == pytest.approx(maxima.mean(), abs=4 * error)


def test_the_expected_maximum_by_hand():
    """Of two from 0 and 1: 1 unless both are 0."""
    assert expected_maximum([1, 0], 2) == 0.75
    assert expected_maximum([0.3, 0.6, 0.9], 1) == pytest.approx(0.6)
    assert math.isnan(expected_maximum([], 2))


@pytest.mark.parametrize("k", [1, 2, 5, 24, 200])
def test_the_expected_highest_mean_is_that_of_drawing(k: int):
    maxima = np.random.default_rng(k).normal(0.9, 0.02, (20_000, k)).max(axis=1)
    error = maxima.std() / math.sqrt(len(maxima))
    assert expected_highest_mean(0.9, 0.02, k) == pytest.approx(maxima.mean(), abs=4 * error)


def test_the_expected_highest_of_two_and_three_normals_have_closed_forms():
    assert expected_highest_mean(0, 1, 2) == pytest.approx(1 / math.sqrt(math.pi), rel=1e-12)
    assert expected_highest_mean(1, 2, 3) == pytest.approx(1 + 3 / math.sqrt(math.pi), rel=1e-12)
    assert expected_highest_mean(0.5, 1, 1) == pytest.approx(0.5, abs=1e-12)


@pytest.mark.parametrize("compute", [expected_maximum, lambda _, k: expected_highest_mean(0, 1, k)])
def test_a_maximum_of_no_draws_is_refused(compute: Callable[[list[float], int], float]):
    with pytest.raises(ValueError, match="k=0: must be 1 or more"):
        compute([1.0], 0)


def ends(values: Sequence[float]) -> list[float]:
    """What is in the unit of the values: it moves and stretches with them."""
    mean, bootstrap = mean_interval(values), bootstrap_interval([values[:4], values[4:]])
    return [
        *(mean.value, mean.low, mean.high),
        *(bootstrap.value, bootstrap.low, bootstrap.high),
        interquartile_mean(values),
        expected_maximum(values, 3),
        expected_highest_mean(mean.value, mean.half_width, 3),
    ]


def test_estimates_shift_and_scale_with_the_values():
    values = np.random.default_rng(0).normal(size=9)
    for shift, scale in ((5, 1), (0, 1e-6), (-3, 40)):
        moved = ends((shift + scale * values).tolist())
        assert moved == pytest.approx(shift + scale * np.array(ends(values.tolist())), rel=1e-9)


def test_differences_scale_with_the_values_and_turn_round():
    first, second = np.random.default_rng(0).normal(size=(2, 6))
    difference = paired_difference(by_seed(first), by_seed(second))
    moved = paired_difference(by_seed(7 + 3 * first), by_seed(7 + 3 * second))
    assert (moved.value, moved.low, moved.high, moved.deviation) == pytest.approx(
        tuple(
            3 * x for x in (difference.value, difference.low, difference.high, difference.deviation)
        )
    )
    assert moved.p == pytest.approx(difference.p)
    turned = paired_difference(by_seed(second), by_seed(first))
    assert (turned.low, turned.high, turned.p) == (-difference.high, -difference.low, difference.p)
    improvement = probability_of_improvement(first, second)
    assert improvement == pytest.approx(1 - probability_of_improvement(second, first))
    assert improvement == probability_of_improvement(np.exp(first), np.exp(second))
    assert seeds_needed(3, 5, 2.1) == seeds_needed(1, 5, 0.7)


def test_100_000_seeds_fit_into_memory():
    first = np.arange(100_000) / 100_000
    assert probability_of_improvement(first, first) == 0.5
    assert probability_of_improvement(first, first - 0.5) == pytest.approx(0.875, abs=1e-4)


def test_the_order_of_the_values_does_not_matter():
    generator = np.random.default_rng(0)
    values, p_values = generator.normal(size=9), generator.uniform(0, 0.1, 9)
    order = generator.permutation(9)
    assert mean_interval(values[order]).low == pytest.approx(mean_interval(values).low)
    assert interquartile_mean(values[order]) == interquartile_mean(values)
    assert expected_maximum(values[order], 4) == expected_maximum(values, 4)
    assert bootstrap_interval([values[order]]) == bootstrap_interval([values])
    assert holm(p_values[order]) == np.array(holm(p_values))[order].tolist()
    assert probability_of_improvement(values[order], p_values) == pytest.approx(
        probability_of_improvement(values, p_values[order])
    )
