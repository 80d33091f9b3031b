"""Locks tell the living from the dead, here, in containers and on machines that share the root."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock

from pipeline.tracking import locks
from pipeline.tracking.locks import (
    DEAD_AFTER_S,
    HEARTBEAT_TAG,
    heartbeats_in,
    hold,
    is_alive,
    is_held,
    machine_tags,
    process_lock,
)
from pipeline.tracking.record import Record, RunFilter
from pipeline.tracking.run import start_run
from pipeline.tracking.store import Store
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


# Is a run's process alive?

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
    assert is_alive(tmp_path, {**tags, "lock": process_lock(tmp_path)}) is True


def test_of_another_machine_the_age_of_the_lock_file_tells(tmp_path: Path):
    assert is_alive(tmp_path, {**ELSEWHERE, **lock_of_age(tmp_path, 60)}) is True
    assert is_alive(tmp_path, {**ELSEWHERE, **lock_of_age(tmp_path, DEAD_AFTER_S + 10)}) is False
    assert is_alive(tmp_path, {**ELSEWHERE, "lock": "of-another-root"}) is None


@dataclass(frozen=True)
class Shared:
    """A run of one root, in a store that another root uses too."""

    run_id: str
    name: str
    """Of the lock of the run's process."""
    store: Store
    """As the other root sees it."""

    def is_alive(self, tags: dict[str, str]) -> bool | None:
        seen = {**tags, "lock": self.name}
        return is_alive(self.store.root, seen, heartbeats_in(self.store))

    def heartbeat(self) -> str | None:
        return self.store.client.get_run(self.run_id).data.tags.get(HEARTBEAT_TAG)


@pytest.fixture
def shared(tmp_path: Path) -> Shared:
    here, uri = tmp_path / "here", f"sqlite:///{tmp_path / 'shared.db'}"
    record = Record("mnist", "run", {"lock": process_lock(here)})
    start_run(Store(uri, here), record, offline_is_fine=False)
    return Shared(record.known_run_id, record.tags["lock"], Store(uri, tmp_path / "there"))


@pytest.mark.parametrize("tags", [machine_tags(), ELSEWHERE], ids=["here", "elsewhere"])
def test_of_another_root_the_heartbeat_in_the_store_tells(shared: Shared, tags: dict[str, str]):
    command.wait_until(shared.heartbeat, "the first heartbeat")
    assert shared.is_alive(tags) is True
    then = round(time.time()) - DEAD_AFTER_S - 10
    shared.store.client.set_tag(shared.run_id, HEARTBEAT_TAG, then)
    assert shared.is_alive(tags) is False


@pytest.mark.parametrize("said", [None, "damaged"])
def test_of_another_root_without_a_heartbeat_nothing_can_be_told(shared: Shared, said: str | None):
    command.wait_until(shared.heartbeat, "the first heartbeat")
    if said is None:
        shared.store.client.delete_tag(shared.run_id, HEARTBEAT_TAG)
    else:
        shared.store.client.set_tag(shared.run_id, HEARTBEAT_TAG, said)
    assert shared.is_alive(machine_tags()) is None


def test_a_process_says_again_and_again_that_it_lives_on_one_of_its_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(locks, "TOUCH_EVERY_S", 0.01)
    store = Store(f"sqlite:///{tmp_path / 'shared.db'}", tmp_path / "root")
    first, *others = (Record("mnist", "run", {"lock": "0123"}) for _ in range(3))
    for record in (first, *others):
        start_run(store, record, offline_is_fine=False)

    def said() -> list[str]:
        found = store.find(RunFilter(tag=HEARTBEAT_TAG))
        return [run.run_id for run in found if run.tags[HEARTBEAT_TAG] != "1"]

    assert command.wait_until(said, "the first heartbeat") == [first.known_run_id]
    store.client.set_tag(first.known_run_id, HEARTBEAT_TAG, 1)
    assert command.wait_until(said, "another one") == [first.known_run_id]


def test_in_a_roots_own_store_nobody_says_that_it_lives(tmp_path: Path):
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    before = threading.active_count()
    start_run(Store(uri, tmp_path), Record("mnist", "run", {"lock": "0"}), offline_is_fine=False)
    assert threading.active_count() == before
    assert heartbeats_in(Store(uri, tmp_path)) is None


def test_a_living_process_touches_its_lock_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(locks, "TOUCH_EVERY_S", 0.01)
    path = tmp_path / "mlruns" / "locks" / f"{process_lock(tmp_path)}.lock"
    os.utime(path, (0, 0))
    command.wait_until(lambda: path.stat().st_mtime > 0, "the lock file to be touched")


# The real command.

ONE_BY_ONE = "hydra.launcher.num_workers=1"

LONG = ("-m", "trainer.max_epochs=1,2000000", ONE_BY_ONE)


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
        assert sweeps.plan(tmp_path, *LONG, "resume=last") == [
            "1 finished, 1 to run",
            sweeps.killed(1),
        ]


def test_two_commands_that_resume_the_same_sweep_at_once_train_each_cell_once(tmp_path: Path):
    root, grid = tmp_path / "root", ("-m", "trainer.max_epochs=1,2", "seed=0,1")
    root.mkdir()
    moments.kill_at(Moment("os.rename", r"spool/\w+\.json\.tmp", 2), root, *grid)
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
    trained = [stdout for stdout, _ in outputs if "epoch " in stdout]
    assert len(trained) == 1


RENAMED = ("unshare", "--map-root-user", "--uts", "sh", "-c", 'hostname other && exec "$@"', "sh")
"""What runs a command as if in a container, whose host name is its own."""


def test_what_was_killed_in_a_container_goes_on_in_another(tmp_path: Path):
    try:
        subprocess.run([*RENAMED, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip(f"{' '.join(RENAMED[:3])} isn't allowed here")
    grid = ("-m", "trainer.max_epochs=1,2000000", "seed=0,1", ONE_BY_ONE)
    typed = ("data=digits", "trainer=cpu", f"root={tmp_path}", *grid)
    with command.started(tmp_path, *typed, before=RENAMED) as process:
        command.read_until(process, "epoch 3/")
        planned = sweeps.plan(tmp_path, *grid, "resume=last")
        assert planned == ["2 finished, 2 running elsewhere, 0 to run"]
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    assert {run.data.tags["host"] for run in command.runs(tmp_path)} == {"other"}
    assert sweeps.plan(tmp_path, *grid, "resume=last") == ["2 finished, 2 to run", sweeps.killed(2)]


NUM_AT_ONCE, NUM_ROUNDS, GATHERING_S = 4, 3, 6


def test_first_commands_that_resume_the_last_sweep_at_once_are_one_sweep(tmp_path: Path):
    for number in range(NUM_ROUNDS):
        root = tmp_path / str(number)
        assert Store(f"sqlite:///{root / 'mlflow.db'}", root).client
        typed = ("data=digits", "trainer=cpu", f"root={root}", "-m", "trainer.max_epochs=1,2")
        with ExitStack() as all_of_them:
            with closing(sqlite3.connect(root / "mlflow.db")) as database:
                database.execute("BEGIN IMMEDIATE")  # all may look for a sweep, none can start one
                processes = [
                    all_of_them.enter_context(command.started(root, *typed, "resume=last"))
                    for _ in range(NUM_AT_ONCE)
                ]
                time.sleep(GATHERING_S)
            outputs = [process.communicate() for process in processes]
        assert [process.returncode for process in processes] == [0] * NUM_AT_ONCE, outputs
        assert [stderr for _, stderr in outputs] == [""] * NUM_AT_ONCE
        sweeps.check_whole(root, 2)
        assert sweeps.deleted(root) == []
        lines = [stdout.splitlines() for stdout, _ in outputs]
        first = "There is no sweep to resume yet; this is the first one."
        assert sum(first in its for its in lines) == 1
        for its in lines:
            assert first in its or "2 finished, 0 to run" in its or its[-1].startswith("Another")
