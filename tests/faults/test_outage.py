"""The MLflow server is killed in the middle of a sweep, which is resumed once it is back."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from mlflow.entities import ViewType

from tests import command
from tests.faults import sweeps
from tests.mlflow_server import Server

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from tests.command import Done

pytestmark = pytest.mark.slow

ONE_BY_ONE = "hydra.launcher.num_workers=1"

GRID = ("-m", "trainer.max_epochs=1,400", "seed=0,1", ONE_BY_ONE)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    folder = tmp_path / "server"
    folder.mkdir()
    with Server(folder) as running:
        yield running


def place(server: Server) -> tuple[str, ...]:
    return "tracking=server", f"tracking.uri={server.uri}"


@contextmanager
def cut_off_sweep(tmp_path: Path, server: Server) -> Generator[subprocess.Popen[str]]:
    """A sweep in its second group, whose server has just been killed; its root is root/."""
    root = tmp_path / "root"
    root.mkdir()
    typed = ("data=digits", "trainer=cpu", f"root={root}", *GRID, *place(server))
    with command.started(root, *typed) as process:
        command.read_until(process, "epoch 3/")
        server.kill()
        yield process


def resume(root: Path, server: Server) -> Done:
    server.start()
    done = command.train(root, *GRID, *place(server), "resume=last")
    assert (done.code, done.stderr) == (0, "")
    return done


def check_whole(root: Path, server: Server, long: str = "400") -> None:
    """Check that all four runs are there, those of one epoch and the long ones."""
    parent, *runs = command.runs(server.client)
    assert [run.info.status for run in (parent, *runs)] == ["FINISHED"] * 5
    assert {run.data.tags.get("mlflow.parentRunId") for run in runs} == {parent.info.run_id}
    cells = sorted((run.data.params["trainer.max_epochs"], run.data.params["seed"]) for run in runs)
    assert cells == [(epochs, seed) for epochs in ("1", long) for seed in "01"]
    for run in runs:
        num_epochs = int(run.data.params["trainer.max_epochs"])
        for metric in ("train/loss", "test/accuracy", "val/loss"):
            steps = list(command.history(server.client, run, metric))
            assert steps == list(range(1, num_epochs + 1))
    assert sweeps.spooled(root) == []
    files = {entry.path for entry in server.client.list_artifacts(parent.info.run_id)}
    assert {"results.csv", "comparison.png"} <= files


AWAY_S = 30


def test_a_server_that_comes_back_while_the_sweep_goes_on_misses_nothing(
    tmp_path: Path, server: Server
):
    root, long = tmp_path / "root", "2000"  # more than twice AWAY_S, for a network this wide
    root.mkdir()
    typed = ("data=digits", "trainer=cpu", f"root={root}", *place(server))
    wide = ("model=mlp", "model.hidden=[1000]")
    grid = ("-m", f"trainer.max_epochs=1,{long}", "seed=0,1", ONE_BY_ONE, *wide)
    with command.started(root, *typed, *grid, limit_s=600) as process:
        seen = command.read_until(process, "epoch 3/")
        server.kill()
        assert process.stdout is not None
        back = time.monotonic() + AWAY_S
        while time.monotonic() < back:
            line = process.stdout.readline()
            assert line, "the sweep is over already"
            seen += line
        server.start()
        stdout, stderr = process.communicate()
    assert process.returncode == 0, stderr
    told = [line for line in (seen + stdout).splitlines() if "doesn't answer" in line]
    assert told == [
        f"The tracking store {server.uri} doesn't answer (Connection refused). Training goes on; "
        "what is tracked stays in the spool until then."
    ]
    check_whole(root, server, long)


def test_what_a_sweep_could_not_send_counts_when_it_is_resumed(tmp_path: Path, server: Server):
    root = tmp_path / "root"
    with cut_off_sweep(tmp_path, server) as process:
        stdout, _ = process.communicate()
        assert process.returncode == 0
    assert len(sweeps.spooled(root)) == 2  # the runs', and the sweep's own
    (told,) = [line for line in stdout.splitlines() if "in the spool: " in line]
    assert told.startswith("2 runs are in the spool: ")
    assert told.endswith(f"--fix root={root} tracking.uri={server.uri}")
    assert "Max retries" not in stdout
    done = resume(root, server)
    assert "4 finished, 0 to run" in done.stdout.splitlines()
    check_whole(root, server)


def test_a_sweep_that_was_killed_together_with_its_server_is_resumed(
    tmp_path: Path, server: Server
):
    root = tmp_path / "root"
    with cut_off_sweep(tmp_path, server) as process:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    done = resume(root, server)
    assert "2 finished, 2 to run" in done.stdout.splitlines()
    check_whole(root, server)
    experiments = [found.experiment_id for found in server.client.search_experiments()]
    gone = server.client.search_runs(experiments, run_view_type=ViewType.DELETED_ONLY)
    assert [run.data.tags["mlflow.runName"].count("max_epochs=400") for run in gone] == [1, 1]
