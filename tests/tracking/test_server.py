from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from tests import command
from tests.mlflow_server import Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mlflow.entities import Run

    from tests.command import Done


PASSWORD = "hunter2"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("root")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("server")) as running:
        yield running


def spool(root: Path) -> list[Path]:
    folder = root / "mlruns" / "spool"
    return sorted(folder.iterdir()) if folder.exists() else []


def train_through_an_outage(root: Path, server: Server, *overrides: str) -> Done:
    """Run the command and kill the server in its third epoch."""
    arguments = ["data=digits", "trainer=cpu", f"root={root}", *overrides]
    arguments += ["tracking=server", f"tracking.uri={server.uri}"]
    with command.started(root, *arguments) as process:
        seen = command.read_until(process, "epoch 3/")
        server.kill()
        stdout, stderr = process.communicate()
    return command.Done(process.returncode, seen + stdout, stderr, 0)


def doctor(root: Path) -> Done:
    return command.run(root, f"root={root}", "--fix", module="pipeline.doctor")


def files(server: Server, run: Run) -> set[str]:
    return {entry.path for entry in server.client.list_artifacts(run.info.run_id)}


def test_a_run_that_goes_on_says_what_it_is(tmp_path: Path):
    """So that a killed one is a hole in its own cell."""
    typed = ("data=digits", "trainer=cpu", "trainer.max_epochs=100000", "seed=7")
    with Server(tmp_path) as server:
        place = (f"root={tmp_path}", "tracking=server", f"tracking.uri={server.uri}")
        with command.started(tmp_path, *typed, *place) as process:
            command.read_until(process, "epoch 3/")
            (run,) = command.runs(server.client)
            assert (run.info.status, run.data.params["seed"]) == ("RUNNING", "7")


# Two outages, one after the other: a run that the next run sends, and a sweep that
# `python -m pipeline.doctor --fix` sends.


@pytest.fixture(scope="module")
def cut_off(root: Path, server: Server) -> tuple[Done, list[Path]]:
    """A run that the server left alone, and what was in the spool after it."""
    done = train_through_an_outage(root, server, "seed=1", "trainer.max_epochs=40")
    return done, spool(root)


@pytest.fixture(scope="module")
def next_run(root: Path, server: Server, cut_off: tuple[Done, list[Path]]) -> Done:
    """A run that finds the server again; its address has a password."""
    assert cut_off[0].code == 0, cut_off[0].stderr
    server.start()
    uri = server.uri.replace("://", f"://somebody:{PASSWORD}@")
    place = ("tracking=server", f"tracking.uri={uri}")
    return command.train(root, *place, "seed=2", "trainer.max_epochs=2")


@pytest.fixture(scope="module")
def runs(server: Server, next_run: Done) -> dict[str, Run]:
    """What the server has then, by seed."""
    assert next_run.code == 0, next_run.stderr
    return {run.data.params["seed"]: run for run in command.runs(server.client)}


@pytest.fixture(scope="module")
def cut_off_sweep(
    tmp_path_factory: pytest.TempPathFactory, server: Server, runs: dict[str, Run]
) -> tuple[Done, Path]:
    assert runs
    folder = tmp_path_factory.mktemp("sweep")
    overrides = ("-m", "trainer.max_epochs=40,2", "tracking.experiment_name=sweep")
    return train_through_an_outage(folder, server, *overrides), folder


@pytest.fixture(scope="module")
def mended(server: Server, cut_off_sweep: tuple[Done, Path]) -> Done:
    server.start()
    return doctor(cut_off_sweep[1])


@pytest.mark.usefixtures("mended")  # the server is up for good then
def test_a_run_arrives_with_all_its_files(server: Server, runs: dict[str, Run]):
    assert runs["2"].info.status == "FINISHED"
    assert files(server, runs["2"]) == command.RUN_FILES
    assert list(command.history(server.client, runs["2"], "test/accuracy")) == [1, 2]


def test_a_run_with_a_server_ends_with_its_table_alone(next_run: Done):
    lines = [line for line in next_run.stdout.splitlines() if not line.startswith("epoch")]
    assert lines[0].startswith("data=digits")
    assert next_run.stderr == ""


def test_the_password_is_written_nowhere(root: Path, server: Server, next_run: Done):
    assert PASSWORD not in next_run.stdout + next_run.stderr
    written = [path for path in [*root.rglob("*"), *server.folder.rglob("*")] if path.is_file()]
    assert written
    assert [path for path in written if PASSWORD.encode() in path.read_bytes()] == []


def test_with_a_server_nothing_is_tracked_locally(root: Path, runs: dict[str, Run]):
    assert runs
    assert command.nothing_tracked(root)


def test_training_goes_on_without_the_server(cut_off: tuple[Done, list[Path]]):
    done, _ = cut_off
    assert done.code == 0, done.stderr
    assert "epoch 40/40" in done.stdout


def test_two_lines_say_that_the_server_is_away_and_what_sends_the_record(
    cut_off: tuple[Done, list[Path]], server: Server, root: Path
):
    done, _ = cut_off
    away, waits = (line for line in done.stdout.splitlines() if "tracking store" in line)
    assert away.startswith(f"The tracking store {server.uri} doesn't answer (")
    assert waits.startswith("1 run is in the spool: the tracking store doesn't have")
    assert waits.endswith(f"python -m pipeline.doctor --fix root={root} tracking.uri={server.uri}")
    assert done.stderr == ""


@pytest.mark.usefixtures("mended")  # the server is up for good then
def test_the_next_run_sends_the_record(server: Server, runs: dict[str, Run], root: Path):
    late = runs["1"]
    assert late.info.status == "FINISHED"
    assert files(server, late) == command.RUN_FILES
    for key in ("train/loss", "test/accuracy"):
        assert list(command.history(server.client, late, key)) == list(range(1, 41))
    assert spool(root) == []


def test_a_sweep_survives_the_servers_end(cut_off_sweep: tuple[Done, Path]):
    done, folder = cut_off_sweep
    assert done.code == 0, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert "epoch 2/2" in done.stdout
    assert "test accuracy" in done.stdout
    assert not (folder / "mlflow.db").exists()


def test_the_doctor_sends_the_sweep(server: Server, mended: Done):
    assert (mended.code, mended.stderr) == (0, "")
    assert mended.stdout.startswith(f"3 finished runs not sent to {server.uri}: sent\n")
    experiment = server.client.get_experiment_by_name("sweep")
    assert experiment is not None
    parent, *children = server.client.search_runs(
        [experiment.experiment_id], order_by=["attributes.start_time ASC"]
    )
    assert [run.info.status for run in (parent, *children)] == ["FINISHED"] * 3
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    epochs = [len(command.history(server.client, run, "train/loss")) for run in children]
    assert epochs == [40, 2]
    assert {"results.csv", "comparison.png"} <= files(server, parent)


def test_once_it_is_sent_there_is_nothing_left_to_do(
    mended: Done, cut_off_sweep: tuple[Done, Path]
):
    assert mended.code == 0
    again = doctor(cut_off_sweep[1])
    assert (again.code, again.stdout) == (0, "nothing to do\n")


# Without a server.


@pytest.mark.parametrize("silent", [False, True], ids=["nobody listens", "nobody answers"])
def test_no_server_is_an_error_before_training(tmp_path: Path, silent: bool):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        if silent:
            listener.listen()
        uri = f"http://127.0.0.1:{listener.getsockname()[1]}"
        done = command.train(tmp_path, "tracking=server", f"tracking.uri={uri}")
    assert done.code == 1
    assert done.seconds < 10
    (line,) = done.errors
    assert line.startswith(f"error: tracking.uri={uri}: ")
    assert "epoch" not in done.stdout
    assert command.nothing_tracked(tmp_path)
