from __future__ import annotations

import pytest
from pipeline.reproduce.cells import (
    DROPOUT_READINGS,
    Cell,
    answer,
    at_epoch,
    dropout_cells,
    find_cells,
)

from pipeline.config.schema import Config
from pipeline.reproduce.verdicts import Verdict
from tests.reproduce.hand_made import REFERENCE, Curves, as_printed, make

NUM_CELLS = {"sgd_network": 30, "losses": 30, "penalties": 14, "dropout": 7, "claims": 0}

ANSWERED = [name for name, num_cells in NUM_CELLS.items() if num_cells]


@pytest.mark.parametrize("study", NUM_CELLS)
def test_every_published_number_is_a_cell_of_its_own(study: str):
    cells = find_cells(study, REFERENCE)
    assert len(cells) == NUM_CELLS[study]
    assert len({cell.label for cell in cells}) == len(cells)


@pytest.mark.parametrize("study", ANSWERED)
def test_runs_that_give_what_is_printed_agree_in_every_cell(study: str):
    runs = make(study, as_printed)
    for cell in find_cells(study, REFERENCE):
        found = answer(cell, runs)
        assert found.ours.num_seeds == 3
        assert found.ours.values == pytest.approx((cell.published,) * 3)
        assert found.verdict.agrees


@pytest.mark.parametrize("study", ANSWERED)
def test_runs_that_give_something_else_differ_in_every_cell(study: str):
    def elsewhere(config: Config) -> Curves:
        return {key: [value + 0.02 for value in curve] for key, curve in as_printed(config).items()}

    runs = make(study, elsewhere)
    verdicts = {answer(cell, runs).verdict for cell in find_cells(study, REFERENCE)}
    assert verdicts == {Verdict.DIFFERENT}


@pytest.mark.parametrize("study", ANSWERED)
def test_a_cell_without_one_of_its_seeds_is_a_hole(study: str):
    runs = make(study, lambda config: None if config.seed == 1 else as_printed(config))
    for cell in find_cells(study, REFERENCE):
        found = answer(cell, runs)
        assert found.verdict is Verdict.MISSING
        assert (len(found.ours.values), found.ours.num_seeds) == (2, 3)


def test_a_run_that_is_missing_leaves_the_other_cells_alone():
    def all_but_one(config: Config) -> Curves | None:
        is_it = (config.loss.name, config.seed) == ("ce", 2)
        return None if is_it else as_printed(config)

    runs = make("losses", all_but_one)
    found = [answer(cell, runs) for cell in find_cells("losses", REFERENCE)]
    holes = [entry.cell.label for entry in found if entry.verdict is Verdict.MISSING]
    assert len(holes) == 10
    assert all(label.startswith("ce, ") for label in holes)


def test_losses_and_accuracies_are_told_apart():
    cells = find_cells("losses", REFERENCE)
    assert sum(cell.is_accuracy for cell in cells) == 15
    for cell in cells:
        assert cell.is_accuracy == ("test accuracy" in cell.label)


@pytest.mark.parametrize(
    ("study", "label", "published"),
    [
        ("losses", "mse, train loss, epoch 1", 0.03163948),
        ("losses", "nll, test accuracy, epoch 5", 0.9191),
        ("penalties", "L1, λ = 0.005", 0.8549),
        ("penalties", "L2, λ = 0.1", 0.8175),
        ("dropout", "p(keep) = 0.2", 0.4825),
        ("sgd_network", "epoch 0", 0.6714),
        ("sgd_network", "epoch 29", 0.8385),
    ],
)
def test_a_cell_is_named_as_the_text_does(study: str, label: str, published: float):
    (cell,) = [cell for cell in find_cells(study, REFERENCE) if cell.label == label]
    assert cell.published == published


@pytest.mark.parametrize(("reading", "place"), DROPOUT_READINGS.items())
def test_every_reading_of_the_dropout_column_has_runs_of_its_own(
    reading: str, place: tuple[str, str]
):
    def only_there(config: Config) -> float:
        return 0.7 if (config.dropout.name, config.dropout.phase) == place else 0.2

    runs = make("dropout", only_there)
    for other, (where, phase) in DROPOUT_READINGS.items():
        cells = dropout_cells(REFERENCE, where, phase)
        assert [cell.published for cell in cells] == list(REFERENCE.dropout.test_accuracy)
        means = [answer(cell, runs).ours.mean for cell in cells]
        assert means == pytest.approx([0.7 if other == reading else 0.2] * 7)


def test_the_dropout_column_is_judged_by_what_dropout_is():
    (first, *_) = DROPOUT_READINGS.values()
    assert first == ("input", "train")
    assert find_cells("dropout", REFERENCE) == dropout_cells(REFERENCE, *first)


def test_a_value_is_taken_at_the_end_of_its_epoch():
    runs = make("losses", lambda config: {"test/accuracy": [0.1 + config.seed, 0.2, 0.3]})
    assert at_epoch(runs, {"loss.name": "ce"}, "test/accuracy", 1) == [0.1, 1.1, 2.1]
    assert at_epoch(runs, {"loss.name": "ce"}, "test/accuracy", 3) == [0.3] * 3


def test_an_epoch_that_a_run_did_not_reach_is_a_hole():
    runs = make("losses", lambda config: {"test/accuracy": [0.9] * (3 + config.seed)})
    assert at_epoch(runs, {"loss.name": "ce"}, "test/accuracy", 5) == [None, None, 0.9]


def test_a_cell_that_no_run_answers_is_a_hole():
    cell = Cell("quadratic", 0.9, {"loss.name": "quadratic"}, "test/accuracy", 5)
    assert answer(cell, make("losses", as_printed)).verdict is Verdict.MISSING
