from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from pipeline.comparison.cells import Cells, find_cells
from pipeline.comparison.question import Metric
from pipeline.comparison.requirement import check
from pipeline.errors import UserError
from tests.comparison.hand_made import grid, run

CELLS = [
    {"loss.name": loss, "optimizer.lr": rate} for loss in ("mse", "nll") for rate in ("0.1", "0.5")
]


def score(values: Mapping[str, str], seed: int) -> float:
    better = 0.02 * (values["loss.name"] == "nll")
    return 0.9 + better + np.random.default_rng([seed, *map(ord, str(values))]).normal(0, 0.002)


LOSSES = ("mse", "ce", "nll")


@pytest.fixture
def cells() -> Cells:
    return find_cells(grid(CELLS, 5, score))


@pytest.mark.parametrize(
    ("requirement", "is_met", "word"),
    [
        ("nll > mse", True, "holds"),
        ("loss=nll>loss=mse", True, "holds"),
        ("mse > nll", False, "doesn't hold"),
        ("lr=0.1 > lr=0.5", False, "isn't settled"),
        ("lr=0.5 > lr=0.1", False, "isn't settled"),
        ("loss=nll lr=0.1 > loss=mse lr=0.1", True, "holds"),
    ],
)
def test_a_requirement_is_met_only_if_it_is_settled(
    cells: Cells, requirement: str, is_met: bool, word: str
):
    (outcome,) = check([requirement], cells, Metric("val/accuracy"))
    assert (outcome.is_met, word in outcome.statement) == (is_met, True), outcome.statement


def test_lower_losses_are_better(cells: Cells):
    (outcome,) = check(["nll > mse"], cells, Metric("val/loss"))
    assert outcome.is_met


@pytest.mark.parametrize(
    ("requirement", "words"),
    [
        ("nll < mse", 'must be "A > B"'),
        ("nll >", 'must be "A > B"'),
        ("nll > msee", "must be one of"),
        ("nll > lr=0.1", "names loss.name on one side and optimizer.lr on the other"),
        ("nll > loss=", "must be one of mse, nll"),
    ],
)
def test_what_cannot_be_read_is_an_error(cells: Cells, requirement: str, words: str):
    with pytest.raises(UserError) as error:
        check([requirement], cells, Metric("val/accuracy"))
    assert words in str(error.value)


def test_nothing_holds_over_holes():
    runs = grid(CELLS, 5, score)
    holes = [run(values, 5, 0.0, status="FAILED") for values in CELLS]
    with pytest.raises(UserError, match="no runs are whole"):
        check(["nll > mse"], find_cells([*runs, *holes]), Metric("val/accuracy"))


def test_what_failed_on_neither_side_doesnt_count():
    cells = [{"loss.name": loss, "optimizer.lr": lr} for loss in LOSSES for lr in ("0.1", "0.5")]
    runs = grid(cells, 5, score)
    diverged = [it for it in runs if it.params["loss.name"] == "ce"]
    holes = [run({"loss.name": "ce", "optimizer.lr": "0.5"}, 0, 0.0, status="FAILED")]
    left = [it for it in runs if it not in diverged]
    (outcome,) = check(["nll > mse"], find_cells([*left, *holes]), Metric("val/accuracy"))
    assert outcome.is_met
    assert "points (5 seeds" in outcome.statement


def test_a_list_is_a_value_however_it_is_typed():
    def better_when_hidden(values: Mapping[str, str], seed: int) -> float:
        return 0.9 + (0.02 + seed / 1e4) * (values["model.hidden"] != "[]")

    cells = [{"model.hidden": hidden} for hidden in ("[]", "[100, 30]")]
    runs = grid(cells, 5, better_when_hidden)
    for typed in ("hidden=[100,30] > hidden=[]", "[100, 30] > []"):
        (outcome,) = check([typed], find_cells(runs), Metric("val/accuracy"))
        assert outcome.is_met
