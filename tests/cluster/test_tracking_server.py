"""One MLflow server for several machines and roots: who lives, who goes on, and nothing is lost."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING

import psycopg
import pytest
from mlflow.entities import Run, ViewType

from pipeline.tracking.locks import DEAD_AFTER_S, HEARTBEAT_TAG
from tests import command, postgresql
from tests.faults import sweeps
from tests.mlflow_server import Server

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

    from tests.command import Done

pytestmark = pytest.mark.cluster

RENAMED = """
id=$(mktemp) && cat /proc/sys/kernel/random/uuid > "$id" &&
mount --bind "$id" /proc/sys/kernel/random/boot_id && rm "$id" && hostname another && exec "$@"
"""

ANOTHER_MACHINE = ("unshare", "--uts", "--mount", "sh", "-c", RENAMED, "sh")
"""What runs a command as if on another machine: with another host name, and another boot's id."""

GRID = ("-m", "trainer.max_epochs=1,400", "seed=0,1", "hydra.launcher.num_workers=1")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    folder = tmp_path / "server"
    folder.mkdir()
    with Server(folder) as running:
        yield running


def typed(root: Path, server: Server) -> tuple[str, ...]:
    root.mkdir(exist_ok=True)
    place = (f"root={root}", "tracking=server", f"tracking.uri={server.uri}")
    return ("data=digits", "trainer=cpu", *place)


def sweep_of(server: Server) -> Run:
    (found,) = [it for it in command.runs(server.client) if "sweep" in it.data.tags]
    return found


def states(server: Server) -> dict[str, str]:
    return {run.info.run_id: run.info.status for run in command.runs(server.client)}


def resume_elsewhere(root: Path, server: Server) -> Done:
    """Take up the only sweep in another root, on what seems to be another machine."""
    resume = f"resume={sweep_of(server).info.run_id}"
    done = command.run(root.parent, *typed(root, server), *GRID, resume, before=ANOTHER_MACHINE)
    assert done.code == 0, done.stderr
    return done


def test_a_sweep_that_was_killed_is_finished_from_another_machine_and_root(
    tmp_path: Path, server: Server
):
    here, there = tmp_path / "here", tmp_path / "there"
    with command.started(tmp_path, *typed(here, server), *GRID) as process:
        command.read_until(process, "epoch 3/")
        os.killpg(process.pid, signal.SIGSTOP)  # it lives, and comes to no end
        before = states(server)
        assert sorted(before.values()) == ["FINISHED"] * 2 + ["RUNNING"] * 3
        done = resume_elsewhere(there, server)
        said, why = done.stdout.splitlines()
        assert said == "2 finished, 2 running elsewhere, 0 to run"
        assert why.startswith("Another process is working on sweep ")
        assert states(server) == before
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    sweep = sweep_of(server)
    long_ago = round(time.time() - DEAD_AFTER_S - 10)  # so that nobody has to wait
    server.client.set_tag(sweep.info.run_id, HEARTBEAT_TAG, long_ago)
    done = resume_elsewhere(there, server)
    assert "2 finished, 2 to run" in done.stdout.splitlines()
    sweep, *runs = command.runs(server.client)
    assert [run.info.status for run in (sweep, *runs)] == ["FINISHED"] * 5
    cells = Counter(
        (run.data.params["trainer.max_epochs"], run.data.params["seed"]) for run in runs
    )
    assert cells == {(epochs, seed): 1 for epochs in ("1", "400") for seed in "01"}
    finished_here = {run_id for run_id, status in before.items() if status == "FINISHED"}
    hosts = {run.info.run_id: run.data.tags["host"] for run in runs}
    assert {run_id for run_id in hosts if hosts[run_id] != "another"} == finished_here
    again = command.run(here, *typed(here, server), *GRID, "resume=last")
    assert again.stdout.splitlines()[0] == "4 finished, 0 to run"


DOCTOR = "pipeline.doctor"


def test_the_doctor_of_another_machine_knows_the_dead_from_the_living(
    tmp_path: Path, server: Server
):
    here, there = tmp_path / "here", tmp_path / "there"
    asked = (*typed(there, server)[2:3], typed(there, server)[-1], "--fix")
    long = ("trainer.max_epochs=2000000",)
    with command.started(tmp_path, *typed(here, server), *long) as process:
        command.read_until(process, "epoch 3/")
        (run,) = command.runs(server.client)
        command.wait_until(lambda: heartbeat(server, run), "the first heartbeat")
        done = command.run(there, *asked, module=DOCTOR, before=ANOTHER_MACHINE)
        assert (done.code, done.stdout) == (0, "nothing to do\n")
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    server.client.set_tag(run.info.run_id, HEARTBEAT_TAG, round(time.time() - DEAD_AFTER_S - 10))
    done = command.run(there, *asked, module=DOCTOR, before=ANOTHER_MACHINE)
    assert "RUNNING, but its process died: set to KILLED" in done.stdout
    assert list(states(server).values()) == ["KILLED"]


def heartbeat(server: Server, run: Run) -> int:
    return int(server.client.get_run(run.info.run_id).data.tags.get(HEARTBEAT_TAG, 0))


def test_a_process_whose_server_was_away_soon_says_again_that_it_lives(
    tmp_path: Path, server: Server
):
    long = ("trainer.max_epochs=2000000", "trainer.evaluate_every=1000")
    with command.started(tmp_path, *typed(tmp_path / "root", server), *long) as process:
        command.read_until(process, "epoch ")
        (run,) = command.runs(server.client)
        command.wait_until(lambda: heartbeat(server, run), "the first heartbeat")
        server.client.set_tag(run.info.run_id, HEARTBEAT_TAG, 1)
        server.kill()
        time.sleep(35)  # a heartbeat is missed
        server.start()
        command.wait_until(lambda: heartbeat(server, run) > 1, "a heartbeat", timeout_s=15)


# Many at once.

NUM_WORKERS, NUM_SEEDS = 8, 25
EPOCHS = 60


@pytest.fixture
def on_postgresql(tmp_path: Path) -> Iterator[Server]:
    folder = tmp_path / "server"
    folder.mkdir()
    with (
        postgresql.running_server() as database,
        Server(folder, postgresql.make_database(database, "mlflow")) as server,
    ):
        yield server


def number_of_runs(server: Server, status: str = "%") -> int:
    """How many runs have a status, any unless one is said; the server isn't asked."""
    with psycopg.connect(server.store.replace("+psycopg", "")) as database:
        found = database.execute("SELECT count(*) FROM runs WHERE status LIKE %s", [status])
        (number,) = found.fetchone() or (0,)
    return number


def end_abruptly(server: Server) -> None:
    server.kill()
    time.sleep(3)
    server.start()


def test_many_workers_lose_and_double_nothing_though_the_server_is_killed(
    tmp_path: Path, on_postgresql: Server
):
    server = on_postgresql
    roots = [tmp_path / f"worker{number}" for number in range(NUM_WORKERS)]
    grids = [
        f"seed=range({number * NUM_SEEDS},{(number + 1) * NUM_SEEDS})"
        for number in range(NUM_WORKERS)
    ]
    long = (f"trainer.max_epochs={EPOCHS}", "hydra.launcher.num_workers=1")
    with ExitStack() as stack:
        workers: list[subprocess.Popen[str]] = [
            stack.enter_context(
                command.started(root, *typed(root, server), "-m", grid, *long, limit_s=400)
            )
            for root, grid in zip(roots, grids, strict=True)
        ]
        total = NUM_WORKERS * NUM_SEEDS
        command.wait_until(
            lambda: number_of_runs(server) > total / 2, "half of the runs", timeout_s=120
        )
        end_abruptly(server)
        command.wait_until(
            lambda: (
                number_of_runs(server, "FINISHED") or all(it.poll() is not None for it in workers)
            ),
            "the first finished run",
            timeout_s=120,
        )
        end_abruptly(server)
        outputs = [worker.communicate() for worker in workers]
    assert [worker.returncode for worker in workers] == [0] * NUM_WORKERS, outputs
    for root in roots:
        if sweeps.spooled(root):
            place = (f"root={root}", f"tracking.uri={server.uri}")
            done = command.run(root, *place, "--fix", module=DOCTOR)
            assert done.code == 0, done.stdout + done.stderr
        assert list((root / "mlruns" / "spool").iterdir()) == []
    runs = command.runs(server.client)
    assert Counter(run.info.status for run in runs) == {"FINISHED": total + NUM_WORKERS}
    trained = [run for run in runs if "sweep" not in run.data.tags]
    assert sorted(int(run.data.params["seed"]) for run in trained) == list(range(total))
    for run in trained[:: NUM_SEEDS // 2]:
        assert list(command.history(server.client, run, "val/loss")) == list(range(1, EPOCHS + 1))
    experiments = [run.info.experiment_id for run in runs[:1]]
    assert server.client.search_runs(experiments, run_view_type=ViewType.DELETED_ONLY) == []
