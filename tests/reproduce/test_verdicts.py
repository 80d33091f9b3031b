"""The rule by which published numbers are judged: its bounds, and how often it errs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from pipeline.reproduce.estimate import Draws, Kind
from pipeline.reproduce.verdicts import (
    ACCURACY_MARGIN,
    RULE,
    Answer,
    Verdict,
    holm,
    judge_all,
)


def verdict(published: float, *seeds: float | None, is_accuracy: bool = True) -> Verdict:
    """That on a study's only number."""
    return judge_one(published, Draws.over(seeds), is_accuracy=is_accuracy).verdict


def judge_one(published: float, draws: Draws, *, is_accuracy: bool = True) -> Answer:
    (answer,) = judge_all([([published], [draws])], are_accuracies=[is_accuracy])
    return answer


TIGHT = (0.9099, 0.91, 0.9101)
"""One more falls within ±0.0005."""

SPREAD = (0.908, 0.91, 0.912)
"""Within ±0.00994, just inside of one point."""

WIDE = (0.89, 0.91, 0.93)
"""Within ±0.0994, where much else would lie, too."""


@pytest.mark.parametrize(
    ("published", "seeds", "expected"),
    [
        (0.91, TIGHT, Verdict.AGREES),
        (0.9104, TIGHT, Verdict.AGREES),
        (0.9106, TIGHT, Verdict.SLIGHT),
        (0.9094, TIGHT, Verdict.SLIGHT),
        (0.9199, TIGHT, Verdict.SLIGHT),
        (0.9201, TIGHT, Verdict.DIFFERS),
        (0.8999, TIGHT, Verdict.DIFFERS),
        (0.9198, SPREAD, Verdict.AGREES),
        (0.9202, SPREAD, Verdict.DIFFERS),
        (0.91, WIDE, Verdict.UNDECIDED),
        (0.82, WIDE, Verdict.UNDECIDED),
        (0.80, WIDE, Verdict.DIFFERS),
        (0.8791, (0.8791,) * 3, Verdict.AGREES),
        (0.8792, (0.8791,) * 3, Verdict.SLIGHT),
        (0.9, (0.8791,) * 3, Verdict.DIFFERS),
        (0.91, (0.91, 0.91), Verdict.TOO_FEW),
        (0.5, (0.91, 0.91), Verdict.TOO_FEW),
        (0.91, (0.91,), Verdict.TOO_FEW),
        (0.91, (*TIGHT, None), Verdict.MISSING),
        (0.91, (0.91, None), Verdict.MISSING),
        (0.1, (None, None), Verdict.MISSING),
        (0.1, (), Verdict.MISSING),
    ],
)
def test_an_accuracy_is_judged_by_the_rule(
    published: float, seeds: Sequence[float | None], expected: Verdict
):
    assert verdict(published, *seeds) is expected


@pytest.mark.parametrize(
    ("published", "seeds", "expected"),
    [
        (2.0, (1.99, 2.0, 2.01), Verdict.AGREES),
        (2.0, (1.9, 2.0, 2.1), Verdict.UNDECIDED),
        (2.09, (2.0,) * 3, Verdict.SLIGHT),
        (2.11, (2.0,) * 3, Verdict.DIFFERS),
        (0.0316, (0.0326,) * 3, Verdict.SLIGHT),
        (0.0316, (0.0346,) * 3, Verdict.DIFFERS),
    ],
)
def test_a_loss_is_judged_by_its_share(published: float, seeds: Sequence[float], expected: Verdict):
    assert verdict(published, *seeds, is_accuracy=False) is expected


def test_only_what_differs_is_rejected():
    rejecting = [verdict for verdict in Verdict if verdict.rejects]
    assert rejecting == [Verdict.SLIGHT, Verdict.DIFFERS]


def test_the_rule_states_every_verdict_and_its_bounds():
    for one in Verdict:
        assert f"**{one}**" in RULE
    for bound in ("at most 5%", "1 point of accuracy", "5% of a loss", "fewer than 3 seeds"):
        assert bound in RULE


def studies(
    shift: float, num_numbers: int, kind: Kind = "one", of: int = 1, num_studies: int = 300
) -> list[list[Answer]]:
    """Studies whose published numbers come `shift` standard deviations off our runs."""
    rng = np.random.default_rng(3)
    make = np.max if kind == "best" else np.mean
    found: list[list[Answer]] = []
    for _ in range(num_studies):
        numbers = [
            (
                [float(make(rng.normal(0.9 + 0.001 * shift, 0.001, of)))],
                [Draws.over(rng.normal(0.9, 0.001, 10).tolist(), kind, of)],
            )
            for _ in range(num_numbers)
        ]
        found.append(judge_all(numbers, are_accuracies=[True] * num_numbers))
    return found


@pytest.mark.parametrize(
    ("num_numbers", "kind", "of"), [(1, "one", 1), (12, "one", 1), (12, "mean", 5)]
)
def test_numbers_of_the_same_protocol_are_rejected_in_5_percent_of_studies(
    num_numbers: int, kind: Kind, of: int
):
    """Whatever is rejected, of however many numbers, spoils a study."""
    wrong = [
        any(one.verdict.rejects for one in of_study)
        for of_study in studies(0, num_numbers, kind, of)
    ]
    assert np.mean(wrong) == pytest.approx(0.05, abs=0.04)


def test_the_best_of_several_of_the_same_protocol_is_no_difference():
    wrong = [of_study[0].verdict.rejects for of_study in studies(0, 1, "best", 5, num_studies=60)]
    assert np.mean(wrong) == pytest.approx(0.05, abs=0.06)


def test_numbers_that_are_far_off_are_rejected():
    answers = [one for of_study in studies(8, 12) for one in of_study]
    assert np.mean([one.verdict.rejects for one in answers]) > 0.95


def test_a_shift_by_3_standard_deviations_of_a_lone_number_is_mostly_seen():
    answers = [of_study[0] for of_study in studies(3, 1)]
    assert np.mean([one.verdict.rejects for one in answers]) > 0.6


def test_agreement_needs_an_interval_that_tells_something():
    """However near the mean: what could be anywhere agrees with nothing."""
    rng = np.random.default_rng(4)
    for spread in (0.0001, 0.001, 0.003, 0.01, 0.1):
        ours = Draws.over(rng.normal(0.8, spread, 5).tolist())
        answer = judge_one(ours.mean, ours)
        is_narrow = answer.intervals[0].half_width <= ACCURACY_MARGIN
        assert answer.verdict is (Verdict.AGREES if is_narrow else Verdict.UNDECIDED)


LEVELS = (0.85, 0.86, 0.87, 0.88, 0.89)


def curve(published: Sequence[float], spread: float = 0.0005) -> Answer:
    """A curve of five epochs beside five seeds that lie around LEVELS."""
    steps = (-2, -1, 0, 1, 2)
    ours = [Draws.over([level + spread * step for step in steps]) for level in LEVELS]
    (answer,) = judge_all([(published, ours)], are_accuracies=[True])
    return answer


def test_a_curve_agrees_if_all_its_epochs_do():
    assert curve(LEVELS).verdict is Verdict.AGREES
    assert curve(LEVELS, spread=0.01).verdict is Verdict.UNDECIDED


@pytest.mark.parametrize("epoch", range(5))
@pytest.mark.parametrize(("shift", "expected"), [(0.009, Verdict.SLIGHT), (0.02, Verdict.DIFFERS)])
def test_a_curve_with_one_bad_epoch_differs_there(epoch: int, shift: float, expected: Verdict):
    bad = [level + shift * (place == epoch) for place, level in enumerate(LEVELS)]
    answer = curve(bad)
    assert answer.verdict is expected
    assert answer.worst == epoch


def test_near_one_a_small_difference_is_no_slight_one():
    """At .999 half a point is six times what is missing."""
    tight = [Draws.over([0.9988, 0.9989, 0.9990, 0.9991, 0.9992])]
    (answer,) = judge_all([([0.994], tight)], are_accuracies=[True])
    assert answer.verdict is Verdict.DIFFERS


def test_a_curve_is_one_number_however_long():
    """Each of its epochs is tested at a share of its level, and it takes one place in Holm's."""
    assert curve(LEVELS).level == pytest.approx(1 - 0.05 / 5)
    ours = [Draws.over(TIGHT)] * 5
    numbers = [([0.91] * 5, ours), ([0.91], ours[:1])]
    first, second = judge_all(numbers, are_accuracies=[True, True])
    assert first.level == pytest.approx(1 - 0.05 / 2 / 5)
    assert second.level == pytest.approx(1 - 0.05 / 2)


def test_a_curve_with_a_hole_is_a_hole():
    ours = [Draws.over(TIGHT), Draws.over([*TIGHT[:2], None])]
    (answer,) = judge_all([([0.91, 0.91], ours)], are_accuracies=[True])
    assert answer.verdict is Verdict.MISSING


def test_what_cannot_be_judged_leaves_the_others_their_level():
    holes = [([0.1], [Draws.over([None])]), ([0.1], [Draws.over([0.9])])]
    alone = judge_all([([0.9102], [Draws.over(TIGHT)])], are_accuracies=[True])
    among = judge_all([*holes, ([0.9102], [Draws.over(TIGHT)])], are_accuracies=[True] * 3)
    assert among[2].level == alone[0].level == 0.95


def test_holms_levels_are_those_of_the_textbook():
    """The example of the article on the Holm–Bonferroni method in Wikipedia: H1 and H4 go."""
    p_values = [0.01, 0.04, 0.03, 0.005]
    levels = holm(p_values)
    assert levels == pytest.approx([0.05 / 3, 0.05 / 2, 0.05 / 2, 0.05 / 4])
    rejected = [p <= level for p, level in zip(p_values, levels, strict=True)]
    assert rejected == [True, False, False, True]


@pytest.mark.parametrize("num", [1, 2, 7, 30])
def test_holm_rejects_what_statsmodels_does(num: int):
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    rng = np.random.default_rng(num)
    for _ in range(50):
        p_values = (rng.random(num) ** 4).tolist()
        rejected = [p <= level for p, level in zip(p_values, holm(p_values), strict=True)]
        expected, *_ = multitest.multipletests(p_values, 0.05, "holm")
        assert rejected == expected.tolist()


def test_holm_of_nothing_is_nothing():
    assert holm([]) == []
