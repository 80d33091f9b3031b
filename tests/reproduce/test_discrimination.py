"""Whether the rule tells published numbers with their own runs from those with others'."""

from __future__ import annotations

from pipeline.reproduce.answers import answer
from pipeline.reproduce.discrimination import Discrimination, discriminate
from pipeline.reproduce.runs import StudyJob
from pipeline.reproduce.study import Study
from tests.reproduce.hand_made import Outcome, as_printed, make, noise, own

AT = [0.1, 0.2, 0.3]


def study(*values: float) -> Study:
    along = {"label": "x", "along": "optimizer.lr", "at": AT, "values": list(values)}
    return own(published=[along])


def told(of_study: Study, outcome: Outcome, num_seeds: int = 10) -> Discrimination:
    runs = make(of_study, outcome, num_seeds=num_seeds)
    return discriminate(runs, answer(of_study, runs))


APART = study(0.8, 0.85, 0.9)


def test_numbers_with_the_runs_of_other_cells_are_rejected():
    found = told(APART, as_printed(APART, spread=0.002))
    assert found.mismatches == 6
    assert found.rejected >= 0.8 * found.mismatches
    assert (found.matched, found.matched_rejected) == (3, 0)


def test_cells_that_do_not_really_differ_are_no_mismatches():
    same = study(0.8, 0.8, 0.8)
    found = told(same, as_printed(same, spread=0.002))
    assert (found.mismatches, found.rejected, found.share) == (0, 0, None)
    assert found.matched == 3


def test_cells_that_differ_by_less_than_what_is_close_are_no_mismatches():
    near = study(0.8, 0.805, 0.895)
    assert told(near, as_printed(near, spread=0.0005)).mismatches == 4


def test_a_rule_that_tells_nothing_apart_would_show():
    """Runs that scatter widely: hardly a mismatch is rejected."""
    wide = study(0.5, 0.9, 0.7)

    def scattered(entry: StudyJob) -> float:
        return 0.5 + 0.4 * entry.has({"optimizer.lr": 0.2}) + 0.3 * noise(entry)

    found = told(wide, scattered, 20)
    assert found.mismatches > 0
    assert found.share is not None
    assert found.share < 0.5


def test_what_is_not_judged_is_not_counted():
    assert told(APART, lambda _: None) == Discrimination(0, 0, 0, 0)
    assert told(APART, as_printed(APART), num_seeds=2) == Discrimination(0, 0, 0, 0)


def test_curves_and_numbers_of_other_metrics_are_left_alone():
    entries = [
        {"label": "a", "where": {"optimizer.lr": 0.1}, "values": [0.8]},
        {"label": "b", "where": {"optimizer.lr": 0.2}, "values": [0.3], "metric": "train/loss"},
        {"label": "c", "where": {"optimizer.lr": 0.3}, "kind": "curve", "values": [0.9] * 5},
    ]
    of_study = own(published=entries)
    assert told(of_study, as_printed(of_study, spread=0.001)).mismatches == 0


def test_curves_are_given_to_each_others_runs():
    entries = [
        {"label": "a", "where": {"optimizer.lr": 0.1}, "kind": "curve", "values": [0.5, 0.8, 0.9]},
        {"label": "b", "where": {"optimizer.lr": 0.2}, "kind": "curve", "values": [0.6, 0.8, 0.9]},
    ]
    of_study = own(published=entries)
    found = told(of_study, as_printed(of_study, spread=0.001))
    assert (found.mismatches, found.rejected, found.matched_rejected) == (2, 2, 0)
