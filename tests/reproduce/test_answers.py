"""Which runs answer which published number."""

from __future__ import annotations

import math

import pytest

from pipeline.reproduce.answers import answer, draws_of, is_accuracy, items_of
from pipeline.reproduce.runs import StudyJob
from pipeline.reproduce.verdicts import Verdict
from tests.reproduce.hand_made import (
    SLOW,
    Curves,
    as_printed,
    config_of,
    make,
    make_shipped,
    own,
    shipped,
)

NUM_ITEMS = {"losses": 6, "penalties": 13, "dropout": 6, "overfitting": 0, "sgd_network": 1}


@pytest.mark.parametrize(("name", "num_items"), NUM_ITEMS.items())
def test_every_published_number_or_curve_is_one_item(name: str, num_items: int):
    assert len(items_of(shipped(name))) == num_items


def test_numbers_along_a_key_are_named_by_its_value():
    entry = {"label": "L1", "along": "regularizer.strength", "at": [0.0001, 1], "values": [1, 2]}
    other = {"label": "a", "along": "loss", "at": ["mse"], "values": [1]}
    items = items_of(own(published=[entry, other]))
    assert [str(item) for item in items] == ["L1, λ = 0.0001", "L1, λ = 1", "a, loss = mse"]


@pytest.mark.parametrize("name", ["losses", "penalties", "sgd_network"])
def test_runs_that_give_what_is_printed_agree_with_all_of_it(name: str):
    found = answer(shipped(name), make_shipped(name, as_printed(shipped(name))))
    assert {one.answer.verdict for one in found} == {Verdict.AGREES}
    assert len(found) == NUM_ITEMS[name]


@pytest.mark.parametrize("name", ["losses", "penalties", "sgd_network"])
def test_a_run_that_is_missing_is_a_hole_in_its_own_cell_alone(name: str):
    study = shipped(name)
    first = items_of(study)[0]

    def holed(entry: StudyJob) -> Curves | float | None:
        is_it = config_of(entry).seed == 1 and entry.has(first.where)
        return None if is_it else as_printed(study)(entry)

    found = answer(study, make_shipped(name, holed))
    for one in found:
        is_hole = one.item.where == first.where
        assert (one.answer.verdict is Verdict.MISSING) == is_hole
        assert len(one.answer.ours[0].values) == (2 if is_hole else 3)


def curve(entry: StudyJob) -> Curves:
    """An accuracy that is best in the third epoch."""
    rate = config_of(entry).optimizer.lr
    return {"test/accuracy": [rate, 0.6 + rate, 0.7 + rate, 0.5, 0.4]}


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({}, 0.4),
        ({"epoch": 2}, 0.7),
        ({"kind": "peak"}, 0.8),
        ({"kind": "peak", "epoch": 2}, 0.7),
        ({"kind": "mean", "of": 4, "epoch": 4}, 0.5),
        ({"metric": "train/loss"}, 0.5),
    ],
)
def test_a_run_answers_with_what_was_published(entry: dict[str, object], expected: float):
    study = own(published=[{"label": "x", "where": SLOW, "values": [0.5]} | entry])
    (draws,) = draws_of(make(study, curve), items_of(study)[0])
    assert draws.values == pytest.approx((expected,) * 3)
    assert draws.of == entry.get("of", 1)


def test_an_epoch_that_a_run_did_not_reach_is_a_hole():
    study = own(published=[{"label": "x", "where": SLOW, "values": [0.9], "epoch": 5}])
    runs = make(study, lambda entry: {"test/accuracy": [0.9] * (4 + config_of(entry).seed)})
    (draws,) = draws_of(runs, items_of(study)[0])
    assert (len(draws.values), draws.num_seeds) == (2, 3)


@pytest.mark.parametrize(
    ("entry", "verdict"),
    [
        ({"epoch": 1}, Verdict.MISSING),
        ({"epoch": 2}, Verdict.AGREES),
        ({"kind": "peak"}, Verdict.AGREES),
        ({"kind": "curve", "values": [0.1, 0.9]}, Verdict.MISSING),
    ],
)
def test_an_epoch_that_was_not_evaluated_is_a_hole(entry: dict[str, object], verdict: Verdict):
    """Of trainer.evaluate_every=2, the other epochs are NaN."""
    nan = math.nan
    study = own(published=[{"label": "x", "where": SLOW, "values": [0.9]} | entry])
    runs = make(study, lambda _: {"test/accuracy": [nan, 0.9, nan, 0.8, 0.7]})
    (found,) = answer(study, runs)
    assert found.answer.verdict is verdict


def test_accuracies_are_told_from_losses():
    assert is_accuracy("test/accuracy")
    assert is_accuracy("train/accuracy")
    assert not is_accuracy("train/loss")
    assert not is_accuracy("test/lost_classes")
