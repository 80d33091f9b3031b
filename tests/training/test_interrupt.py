from __future__ import annotations

import os
import shlex
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import command
from tests.faults import sweeps

END_WITHIN_S = 5


@dataclass(frozen=True)
class Interrupted:
    """A command that a signal has ended, and what it was doing."""

    root: Path
    code: int
    stdout: str
    stderr: str
    exit_code: int
    """What a shell expects after that signal."""


def interrupt(root: Path, number: signal.Signals, when: str, *overrides: str) -> Interrupted:
    """Start the command, send a signal once a line of its output matches, wait for the end."""
    arguments = ["data=digits", "trainer=cpu", f"root={root}", *overrides]
    with command.started(root, *arguments) as process:
        seen = command.read_until(process, when)
        sent = time.monotonic()
        os.killpg(process.pid, number)
        stdout, stderr = process.communicate(timeout=60)
    assert time.monotonic() - sent < END_WITHIN_S
    return Interrupted(root, process.returncode, seen + stdout, stderr, 128 + number)


@pytest.fixture(scope="module", params=[signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def sweep(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Interrupted:
    """A sweep of three runs, interrupted in its second one."""
    return interrupt(
        tmp_path_factory.mktemp("interrupted"),
        request.param,
        "epoch 3/100000",
        "-m",
        "trainer.max_epochs=1,100000,2",
        "hydra.launcher.num_workers=1",
    )


def test_an_interrupted_sweep_exits_as_shells_expect(sweep: Interrupted):
    assert sweep.code == sweep.exit_code


def test_the_parent_and_the_run_that_went_on_are_killed(sweep: Interrupted):
    children = command.children(sweep.root)
    assert [child.info.status for child in children] == ["FINISHED", "KILLED"]
    assert command.parent(sweep.root).info.status == "KILLED"


def test_an_interrupted_run_keeps_the_epochs_that_it_had(sweep: Interrupted):
    killed = command.children(sweep.root)[1]
    epochs = list(command.history(sweep.root, killed, "test/accuracy"))
    assert len(epochs) >= 3
    assert epochs == list(range(1, len(epochs) + 1))
    assert killed.info.end_time is not None


def test_an_interrupted_sweep_shows_what_it_has(sweep: Interrupted):
    assert "1 run was interrupted" in sweep.stdout
    (finished,) = [run for run in command.children(sweep.root) if run.info.status == "FINISHED"]
    assert f"{100 * finished.data.metrics['val/accuracy']:.2f}" in sweep.stdout
    assert (command.artifacts(command.parent(sweep.root)) / "results.csv").is_file()


def test_an_interruption_is_no_error_with_a_traceback(sweep: Interrupted):
    assert "Traceback" not in sweep.stdout + sweep.stderr


def test_nothing_is_left_in_the_spool_after_an_interruption(sweep: Interrupted):
    assert list((sweep.root / "mlruns" / "spool").iterdir()) == []


def test_an_interrupted_sweep_says_how_to_go_on(sweep: Interrupted):
    (told,) = [line for line in sweep.stdout.splitlines() if line.startswith("To go on: ")]
    _, _, typed = told.partition("To go on: python -m pipeline ")
    assert sweeps.plan(sweep.root, *shlex.split(typed)) == ["1 finished, 2 to run"]


def test_an_interrupted_sweep_can_be_resumed(sweep: Interrupted):
    grid = ("-m", "trainer.max_epochs=1,100000,2")
    assert sweeps.plan(sweep.root, *grid, "resume=last") == ["1 finished, 2 to run"]


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Interrupted:
    root = tmp_path_factory.mktemp("single")
    return interrupt(root, signal.SIGINT, "epoch 3/", "trainer.max_epochs=100000")


def test_an_interrupted_run_is_killed(single: Interrupted):
    (run,) = command.runs(single.root)
    assert run.info.status == "KILLED"
    assert single.code == single.exit_code
    assert "Traceback" not in single.stdout + single.stderr


def test_pressing_ctrl_c_again_changes_nothing(tmp_path: Path):
    arguments = ["data=digits", "trainer=cpu", f"root={tmp_path}", "-m"]
    with command.started(tmp_path, *arguments, "trainer.max_epochs=100000,2") as process:
        command.read_until(process, "epoch 3/")
        for _ in range(10):
            os.killpg(process.pid, signal.SIGINT)
            time.sleep(0.05)
        _, stderr = process.communicate()
    assert "Traceback" not in stderr
    # A press while Python itself ends counts as the second one; shells show 130 for both.
    assert process.returncode in (128 + signal.SIGINT, -signal.SIGINT)
    assert {run.info.status for run in command.runs(tmp_path)} == {"KILLED"}


def test_an_interrupted_group_is_killed_member_by_member(tmp_path: Path):
    grid = ("-m", "trainer.max_epochs=100000", "seed=0,1", "loss=mse,nll")
    done = interrupt(tmp_path, signal.SIGINT, "epoch 3/100000  4/4 members", *grid)
    assert done.code == done.exit_code
    assert "Traceback" not in done.stdout + done.stderr
    assert [run.info.status for run in command.runs(tmp_path)] == ["KILLED"] * 5
    for run in command.children(tmp_path):
        assert list(command.history(tmp_path, run, "test/accuracy"))[:3] == [1, 2, 3]
