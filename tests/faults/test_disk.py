"""The disk fills up in the middle of a sweep."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests import command
from tests.faults import sweeps
from tests.faults.privileges import Disk, small_disk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.command import Done

GRID = ("-m", "trainer.max_epochs=1,400", "seed=0,1", "hydra.launcher.num_workers=1")


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disk]:
    with small_disk(tmp_path_factory.mktemp("disk"), "40m") as mounted:
        yield mounted


@pytest.fixture(scope="module")
def filled(disk: Disk) -> Done:
    """A sweep whose disk is full when its third and fourth run end."""
    typed = ("data=digits", "trainer=cpu", f"root={disk.folder}", *GRID)
    with command.started(disk.outside, *typed, before=disk.before) as process:
        seen = command.read_until(process, "epoch 3/")
        disk.fill()
        stdout, stderr = process.communicate()
    return command.Done(process.returncode, seen + stdout, stderr, 0)


@dataclass(frozen=True)
class Resumed:
    """The same sweep, resumed while the disk is full, and once there is room again."""

    refused: Done
    done: Done
    before: Path
    """A copy of the store when the disk was full."""
    after: Path


@pytest.fixture(scope="module")
def resumed(disk: Disk, filled: Done, tmp_path_factory: pytest.TempPathFactory) -> Resumed:
    assert filled.code == 1
    typed = ("data=digits", "trainer=cpu", f"root={disk.folder}", *GRID, "resume=last")
    before = disk.copy_store(tmp_path_factory.mktemp("before"))
    refused = command.run(disk.outside, *typed, before=disk.before)
    disk.make_room()
    done = command.run(disk.outside, *typed, before=disk.before)
    return Resumed(refused, done, before, disk.copy_store(tmp_path_factory.mktemp("after")))


def test_a_full_disk_is_said_with_its_path_and_without_a_traceback(disk: Disk, filled: Done):
    assert filled.code == 1
    output = filled.stdout + filled.stderr
    assert "Traceback" not in output
    told = [line for line in output.splitlines() if "No space left on device" in line]
    assert any(str(disk.folder) in line for line in told), output


def test_what_was_finished_before_is_intact(resumed: Resumed):
    finished = [run for run in command.runs(resumed.before) if run.info.status == "FINISHED"]
    assert [run.data.params["trainer.max_epochs"] for run in finished] == ["1", "1"]
    with closing(sqlite3.connect(resumed.before / "mlflow.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_on_a_full_disk_nothing_starts(disk: Disk, resumed: Resumed):
    assert (resumed.refused.code, resumed.refused.stdout) == (1, "")
    (line,) = resumed.refused.errors
    assert line.startswith(f"error: root={disk.folder}: ")


def test_once_there_is_room_the_sweep_goes_on(resumed: Resumed):
    assert (resumed.done.code, resumed.done.stderr) == (0, "")
    assert resumed.done.stdout.splitlines()[0] == "2 finished, 2 to run"
    before, after = (sweeps.states(root) for root in (resumed.before, resumed.after))
    assert list(after.values()) == ["FINISHED"] * 5
    assert {run for run in before if before[run] == "FINISHED"} < set(after)
    for run in sweeps.cells(resumed.after).values():
        steps = list(command.history(resumed.after, run, "test/accuracy"))
        assert steps == list(range(1, int(run.data.params["trainer.max_epochs"]) + 1))
