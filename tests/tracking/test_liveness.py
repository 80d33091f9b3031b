"""Processes on this machine, in its containers, and on others that share the root."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from pipeline.tracking import locks
from pipeline.tracking.liveness import DEAD_AFTER_S, is_alive, machine_tags
from tests import command
from tests.faults import sweeps

if TYPE_CHECKING:
    from pathlib import Path

ELSEWHERE = {"host": "elsewhere", "boot": "another"}


def lock_of_age(root: Path, age_s: float) -> dict[str, str]:
    """Leave a lock file that nobody holds, and return the tag of a run that names it."""
    path = root / "mlruns" / "locks" / "0123.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    os.utime(path, (time.time() - age_s, time.time() - age_s))
    return {"lock": "0123"}


@pytest.mark.parametrize("known_by", machine_tags())
def test_on_this_machine_a_lock_that_is_free_is_a_dead_process(tmp_path: Path, known_by: str):
    here = {**ELSEWHERE, known_by: machine_tags()[known_by]}
    assert is_alive(tmp_path, {**here, **lock_of_age(tmp_path, 0)}) is False
    assert is_alive(tmp_path, {**here, "lock": "gone"}) is False


@pytest.mark.parametrize("tags", [machine_tags(), ELSEWHERE], ids=["here", "elsewhere"])
def test_a_lock_that_is_held_is_a_living_process(tmp_path: Path, tags: dict[str, str]):
    assert is_alive(tmp_path, {**tags, "lock": locks.process_lock(tmp_path)}) is True


def test_of_another_machine_the_age_of_the_lock_file_tells(tmp_path: Path):
    assert is_alive(tmp_path, {**ELSEWHERE, **lock_of_age(tmp_path, 60)}) is True
    assert is_alive(tmp_path, {**ELSEWHERE, **lock_of_age(tmp_path, DEAD_AFTER_S + 10)}) is False
    assert is_alive(tmp_path, {**ELSEWHERE, "lock": "of-another-root"}) is None


def test_a_living_process_touches_its_lock_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(locks, "TOUCH_EVERY_S", 0.01)
    path = tmp_path / "mlruns" / "locks" / f"{locks.process_lock(tmp_path)}.lock"
    os.utime(path, (0, 0))
    command.wait_until(lambda: path.stat().st_mtime > 0, "the lock file to be touched")


RENAMED = ("unshare", "--map-root-user", "--uts", "sh", "-c", 'hostname other && exec "$@"', "sh")
"""What runs a command as if in a container, whose host name is its own."""


def test_what_was_killed_in_a_container_goes_on_in_another(tmp_path: Path):
    try:
        subprocess.run([*RENAMED, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip(f"{' '.join(RENAMED[:3])} isn't allowed here")
    grid = ("-m", "trainer.max_epochs=1,2000000", "seed=0,1")
    typed = ("data=digits", "trainer=cpu", f"root={tmp_path}", *grid)
    with command.started(tmp_path, *typed, before=RENAMED) as process:
        command.read_until(process, "epoch 3/")
        planned = sweeps.plan(tmp_path, *grid, "resume=last")
        assert planned == ["2 finished, 2 running elsewhere, 0 to run"]
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    assert {run.data.tags["host"] for run in command.runs(tmp_path)} == {"other"}
    assert sweeps.plan(tmp_path, *grid, "resume=last") == ["2 finished, 2 to run"]
