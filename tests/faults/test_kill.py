"""A sweep that is killed, whenever that is, goes on with resume=last and ends as if it were not."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import pytest

from tests import command
from tests.faults import moments, sweeps

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.sweeps import Histories

GRID = ("-m", "trainer.max_epochs=10,20,30", "loss=mse,nll", "seed=0,1")
NUM_CELLS = 12
NUM_MOMENTS = 10

SMALL_GRID = ("-m", "trainer.max_epochs=2", "seed=0,1")


@dataclass(frozen=True)
class Undisturbed:
    seconds: float
    histories: Histories


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory):
    """The same sweep, left alone, by launcher."""

    @cache
    def run(launcher: str) -> Undisturbed:
        root = tmp_path_factory.mktemp(launcher)
        done = command.train(root, *GRID, f"hydra/launcher={launcher}")
        assert done.code == 0, done.stderr
        sweeps.check_whole(root, NUM_CELLS)
        return Undisturbed(done.seconds, sweeps.histories(root))

    return run


def resume(root: Path, *grid: str) -> None:
    done = command.train(root, *grid, "resume=last")
    assert done.code == 0, done.stderr
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("number", range(NUM_MOMENTS))
@pytest.mark.parametrize("launcher", ["fused", "basic"])
def test_a_sweep_that_is_killed_twice_at_any_moment_ends_as_if_nothing_had_happened(
    tmp_path: Path, undisturbed, launcher: str, number: int
):
    expected = undisturbed(launcher)
    grid = (*GRID, f"hydra/launcher={launcher}")
    draw = random.Random(f"{launcher} {number}")  # the same moments each time
    first, second = (number + draw.random()) / NUM_MOMENTS, draw.random()
    moments.kill_after(first * expected.seconds, tmp_path, *grid)
    moments.kill_after(second * expected.seconds, tmp_path, *grid, "resume=last")
    resume(tmp_path, *grid)
    sweeps.check_whole(tmp_path, NUM_CELLS)
    assert_alike(sweeps.histories(tmp_path), expected.histories, exact=launcher == "basic")


def assert_alike(found: Histories, expected: Histories, *, exact: bool) -> None:
    """Compare all metrics; runs that train together are the same up to rounding only."""
    assert found.keys() == expected.keys()
    for cell, metrics in expected.items():
        assert found[cell].keys() == metrics.keys()
        for metric, values in metrics.items():
            wanted = values if exact else pytest.approx(values, rel=1e-4, abs=1e-6)
            assert found[cell][metric] == wanted, (cell, metric)


EVERY_STEP = (
    moments.GRID_IS_WRITTEN,
    moments.ROWS_ARE_MADE,
    moments.FILES_ARE_WRITTEN,
    moments.RECORDS_ARE_COMPLETE,
    moments.ROWS_ARE_ENDED,
    moments.RECORDS_ARE_REMOVED,
    moments.TABLE_IS_WRITTEN,
)


def test_of_runs_that_were_being_written_when_the_process_was_killed_nothing_is_half_there(
    tmp_path: Path,
):
    moments.kill_at(moments.ROWS_ARE_ENDED, tmp_path, *SMALL_GRID)
    runs = command.children(tmp_path)
    assert [run.info.status for run in runs] == ["RUNNING", "RUNNING"]
    assert [run.data.metrics for run in runs] == [{}, {}]
    assert len(sweeps.spooled(tmp_path)) == 1
    resume(tmp_path, *SMALL_GRID)
    sweeps.check_whole(tmp_path, 2)
    assert sweeps.deleted(tmp_path) == []


def test_a_sweep_that_is_killed_at_every_step_of_its_work_gets_there(tmp_path: Path):
    root = tmp_path / "root"
    root.mkdir()
    for moment in EVERY_STEP:
        moments.kill_at(moment, root, *SMALL_GRID, "resume=last")
    resume(root, *SMALL_GRID)
    sweeps.check_whole(root, 2)
