from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from pipeline.config.schema import Config, LossConfig, OptimizerConfig
from pipeline.sweep.grid import Grid
from pipeline.sweep.parent import time_paused, varied_params
from pipeline.tracking.record import Record, RunResult, now_ms
from tests import command

if TYPE_CHECKING:
    from pathlib import Path

    from mlflow.entities import RunInfo

GRID = ("-m", "loss=mse,ce", "seed=3,4,5", "trainer.max_epochs=1")
HOUR_MS = 3_600_000


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("root")
    done = command.train(folder, *GRID)
    assert (done.code, done.stderr) == (0, "")
    return folder


def test_the_parent_says_what_varied_under_the_names_of_its_runs_params(root: Path):
    parent = command.parent(root)
    assert parent.data.params == {"loss.name": "mse, ce", "seed": "3-5"}
    for child in command.children(root):
        assert parent.data.params.keys() <= child.data.params.keys()


def test_names_tell_runs_apart_and_begin_with_what_varied(root: Path):
    assert {run.info.run_name for run in command.children(root)} == {
        f"loss={loss} seed={seed}" for loss in ("mse", "ce") for seed in (3, 4, 5)
    }
    name = command.parent(root).info.run_name
    assert name == "loss=mse,ce seed=3,4,5 data=digits trainer=cpu trainer.max_epochs=1"


def grid(*configs: Config) -> Grid:
    overrides = [
        [f"loss={it.loss.name}", f"optimizer.lr={it.optimizer.lr}", f"seed={it.seed}"]
        for it in configs
    ]
    return Grid(list(configs), overrides, [])


def test_many_values_are_listed_in_short():
    rates = [round(0.01 * number, 2) for number in range(1, 21)]
    configs = [
        Config(seed=2 * seed, optimizer=OptimizerConfig(lr=lr)) for lr in rates for seed in (0, 1)
    ]
    assert varied_params(grid(*configs)) == {
        "optimizer.lr": "0.01, 0.02, 0.03, …, 0.2 (20 values)",
        "seed": "0, 2",
    }


def test_nothing_varies_in_a_grid_of_one_cell_nor_where_a_sweeper_asks_as_it_goes():
    assert varied_params(grid(Config())) == {}
    assert varied_params(Grid([Config()], [], ["optimizer.lr=interval(0.1,1)"])) == {}


def test_what_follows_from_another_choice_is_not_listed():
    configs = [
        Config(loss=LossConfig(name="mse")),
        Config(loss=LossConfig(name="huber", delta=1.0)),
    ]
    assert varied_params(grid(*configs)) == {"loss.name": "mse, huber"}


def run(started_ms: int, seconds: float | None) -> RunResult:
    return RunResult("id", "name", "FINISHED", {}, {}, seconds, None, {}, {}, started_ms)


def test_a_pause_is_the_time_in_which_nothing_was_trained():
    start = now_ms() - 10 * HOUR_MS
    together = [run(start, 1800), run(start, 1800), run(start + HOUR_MS // 4, 1800)]
    later = run(start + 5 * HOUR_MS, 3600)
    died = run(start + 6 * HOUR_MS, None)
    hours = time_paused(run(start, None), [died, later, *together]) / HOUR_MS
    assert hours == pytest.approx(10 - 0.75 - 1, abs=0.01)


def test_a_session_that_came_to_its_end_counts_whole():
    start = now_ms() - 10 * HOUR_MS
    hours = time_paused(run(start, 2 * 3600), [run(start, 1800)]) / HOUR_MS
    assert hours == pytest.approx(8, abs=0.01)


def test_a_clock_that_was_set_back_makes_no_negative_pause():
    assert time_paused(run(now_ms() + HOUR_MS, None), []) == 0


def test_a_record_ends_without_its_pauses():
    record = Record("mnist", "sweep", {}, start_time=now_ms() - HOUR_MS, paused_ms=HOUR_MS - 5000)
    record.finish("FINISHED")
    assert record.result().seconds == pytest.approx(5, abs=1)


def test_a_sweep_that_goes_on_an_hour_later_shows_the_time_it_was_worked_on(root: Path):
    before = command.parent(root).info
    with closing(sqlite3.connect(root / "mlflow.db")) as database, database:
        database.execute(f"UPDATE runs SET start_time = start_time - {HOUR_MS}")
        database.execute(f"UPDATE runs SET end_time = end_time - {HOUR_MS}")
    done = command.train(root, *GRID, "resume=last")
    assert done.code == 0, done.stderr
    after = command.parent(root).info
    assert after.start_time == before.start_time - HOUR_MS
    assert duration_s(before) <= duration_s(after) < duration_s(before) + 60


def duration_s(info: RunInfo) -> float:
    assert info.end_time is not None
    return (info.end_time - info.start_time) / 1000
