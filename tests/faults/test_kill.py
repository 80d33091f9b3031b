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


@pytest.mark.parametrize("launcher", ["fused", "basic"])
def test_a_sweep_that_is_killed_twice_ends_as_if_nothing_had_happened(
    tmp_path: Path, undisturbed, launcher: str
):
    expected = undisturbed("fused")
    grid = (*GRID, f"hydra/launcher={launcher}")
    draw = random.Random(launcher)  # the same moments each time
    first, second = (draw.uniform(0.1, 0.9) * expected.seconds for _ in range(2))
    killed = [
        moments.kill_after(first, tmp_path, *grid),
        moments.kill_after(second, tmp_path, *grid, "resume=last"),
    ]
    assert any(killed)
    resume(tmp_path, *grid)
    sweeps.check_whole(tmp_path, NUM_CELLS)
    assert_alike(sweeps.histories(tmp_path), expected.histories, exact=False)


NUM_MOMENTS = 10


@pytest.mark.slow
@pytest.mark.parametrize("number", range(NUM_MOMENTS))
@pytest.mark.parametrize("launcher", ["fused", "basic"])
def test_a_sweep_that_is_killed_at_any_moment_ends_as_if_nothing_had_happened(
    tmp_path: Path, undisturbed, launcher: str, number: int
):
    expected = undisturbed(launcher)
    grid = (*GRID, f"hydra/launcher={launcher}")
    share = (number + random.Random(f"{launcher} {number}").random()) / NUM_MOMENTS
    moments.kill_after(share * expected.seconds, tmp_path, *grid)
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


MOMENTS = {
    "before its grid is written": moments.GRID_IS_WRITTEN,
    "before a record is complete": moments.RECORD_IS_COMPLETE,
    "before a run's files are sent": moments.FILES_ARE_SENT,
    "before a record that was sent is removed": moments.RECORD_IS_REMOVED,
    "before the table is written": moments.TABLE_IS_WRITTEN,
}


@pytest.mark.parametrize(
    "when",
    [pytest.param(when, marks=[] if "grid" in when else pytest.mark.slow) for when in MOMENTS],
)
def test_a_sweep_can_be_resumed_that_was_killed(tmp_path: Path, when: str):
    root = tmp_path / "root"
    root.mkdir()
    moments.kill_at(MOMENTS[when], root, *SMALL_GRID)
    resume(root, *SMALL_GRID)
    sweeps.check_whole(root, 2)


def test_a_sweep_that_is_killed_at_every_step_of_its_work_gets_there(tmp_path: Path):
    root = tmp_path / "root"
    root.mkdir()
    for moment in list(MOMENTS.values())[1:]:
        moments.kill_at(moment, root, *SMALL_GRID, "resume=last")
    resume(root, *SMALL_GRID)
    sweeps.check_whole(root, 2)
