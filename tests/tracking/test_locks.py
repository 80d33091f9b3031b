"""Locks tell the living from the dead, and keep two processes from the same sweep."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from filelock import FileLock

from pipeline.tracking.locks import hold, is_held, process_lock
from tests import command
from tests.faults import moments, sweeps
from tests.faults.moments import Moment

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

HOLDER = """
import subprocess, sys
from pathlib import Path
from filelock import FileLock

from pipeline.tracking.locks import hold, is_held, process_lock

root, name = Path(sys.argv[1]), sys.argv[2]
answer = process_lock(root) if name == "own" else hold(root, name)
child = subprocess.Popen(["sleep", "60"], stdout=subprocess.DEVNULL)
print(answer, flush=True)
sys.stdin.read()
child.kill()
"""


@contextmanager
def holder(root: Path, name: str) -> Generator[tuple[subprocess.Popen[str], str]]:
    """Another process that takes a lock, or its own one, and what it says of that."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(root), name],
        env=command.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().strip()
        finally:
            command.end_group(process)


def test_a_lock_is_held_by_one_process_at_a_time(tmp_path: Path):
    with holder(tmp_path, "sweep") as (_, taken):
        assert taken == "True"
        assert is_held(tmp_path, "sweep")
        assert not hold(tmp_path, "sweep")
        assert not is_held(tmp_path, "another")
        assert hold(tmp_path, "another")


def test_a_killed_process_lets_go_though_what_it_started_lives_on(tmp_path: Path):
    with holder(tmp_path, "sweep") as (process, _):
        process.kill()
        process.wait()
        assert not is_held(tmp_path, "sweep")
        assert hold(tmp_path, "sweep")


def test_a_process_that_ends_in_order_lets_go(tmp_path: Path):
    with holder(tmp_path, "sweep") as (process, _):
        process.communicate("")
        assert process.returncode == 0
        assert not is_held(tmp_path, "sweep")
        assert list((tmp_path / "mlruns" / "locks").iterdir()) == []


def test_one_keeps_what_one_holds(tmp_path: Path):
    assert [hold(tmp_path, "sweep"), hold(tmp_path, "sweep")] == [True, True]
    assert is_held(tmp_path, "sweep")
    with holder(tmp_path, "sweep") as (_, taken):
        assert taken == "False"


def test_to_ask_is_not_to_take(tmp_path: Path):
    assert not is_held(tmp_path, "sweep")
    with holder(tmp_path, "sweep") as (process, taken):
        assert taken == "True"
        process.kill()
        process.wait()
    assert not is_held(tmp_path, "sweep")
    with holder(tmp_path, "sweep") as (_, taken):
        assert taken == "True"


def test_every_process_has_a_lock_of_its_own(tmp_path: Path):
    own = process_lock(tmp_path)
    assert process_lock(tmp_path) == own
    assert is_held(tmp_path, own)
    with holder(tmp_path, "own") as (_, name), holder(tmp_path, "own") as (other, another):
        assert len({own, name, another}) == 3
        assert is_held(tmp_path, name)
        other.kill()
        other.wait()
        assert [is_held(tmp_path, lock) for lock in (own, name, another)] == [True, True, False]


def test_who_only_asks_for_a_moment_keeps_nobody_from_taking(tmp_path: Path):
    path = tmp_path / "mlruns" / "locks" / "sweep.lock"
    path.parent.mkdir(parents=True)
    asking = FileLock(path, thread_local=False)
    asking.acquire()
    threading.Timer(0.05, asking.release).start()
    assert hold(tmp_path, "sweep")


# The real command.

LONG = ("-m", "trainer.max_epochs=1,2000000")


def test_what_another_process_is_working_on_is_left_alone_until_that_is_killed(tmp_path: Path):
    typed = ("data=digits", "trainer=cpu", f"root={tmp_path}", *LONG)
    with command.started(tmp_path, *typed, limit_s=600) as process:
        command.read_until(process, "epoch 3/")
        before = sweeps.states(tmp_path)
        assert sorted(before.values()) == ["FINISHED", "RUNNING", "RUNNING"]
        done = command.train(tmp_path, *LONG, "resume=last")
        assert (done.code, done.stderr) == (0, "")
        said, why = done.stdout.splitlines()
        assert said == "1 finished, 1 running elsewhere, 0 to run"
        assert why.startswith("Another process is working on sweep ")
        assert sweeps.states(tmp_path) == before
        assert sweeps.plan(tmp_path, *LONG, "resume=last") == [said]
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert sweeps.plan(tmp_path, *LONG, "resume=last") == ["1 finished, 1 to run"]


def test_two_commands_that_resume_the_same_sweep_at_once_train_each_cell_once(tmp_path: Path):
    root, grid = tmp_path / "root", ("-m", "trainer.max_epochs=1,2", "seed=0,1")
    root.mkdir()
    moments.kill_at(Moment("os.rename", r"record\.json\.tmp", 3), root, *grid)
    interrupted = [run for run in command.children(root) if run.info.status == "RUNNING"]
    typed = ("data=digits", "trainer=cpu", f"root={root}", *grid, "resume=last")
    with ExitStack() as both:
        processes = [both.enter_context(command.started(root, *typed)) for _ in range(2)]
        outputs = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert [stderr for _, stderr in outputs] == ["", ""]
    sweeps.check_whole(root, 4)
    gone = {run.info.run_id for run in sweeps.deleted(root)}
    assert gone == {run.info.run_id for run in interrupted}
    trained = [stdout for stdout, _ in outputs if "epoch 2/2" in stdout]
    assert len(trained) == 1
