"""hydra/launcher=ray on a real cluster of two nodes, and on this machine alone."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests import command
from tests.cluster.ray import ADDRESS, Ray, ray_cluster
from tests.cluster.sweeps import LONG, SHORT, Sweeps, ends, interrupt, processes_with, words

pytestmark = pytest.mark.cluster

LAUNCHER = ("hydra/launcher=ray", f"hydra.launcher.address={ADDRESS}")


@pytest.fixture
def sweeps(ray: Ray, tmp_path: Path) -> Sweeps:
    return Sweeps(ray.space, LAUNCHER, tmp_path)


def test_a_group_is_a_task_and_gives_the_numbers_of_basic(sweeps: Sweeps, tmp_path: Path):
    alone = tmp_path / "basic"
    alone.mkdir()
    basic = command.run(alone, *words(alone, *SHORT), "hydra/launcher=basic")
    done = sweeps.run(*SHORT, "hydra.launcher.members_per_job=3")
    assert (basic.code, done.code) == (0, 0), done.stderr
    runs = command.children(alone)
    expected = {run.data.tags["config_hash"]: run.data.metrics["val/accuracy"] for run in runs}
    assert sweeps.scores() == expected
    assert "6 runs in 2 jobs" in done.stdout
    assert "6 of 6 runs have ended" in done.stdout
    assert "Validation chooses" in done.stdout


def test_a_worker_that_is_killed_is_started_again(sweeps: Sweeps, undisturbed: dict[str, float]):
    with sweeps.started(*LONG) as process:
        run = sweeps.in_training(2)[0]
        variable = f"PIPELINE_JOB={run.data.tags['job']}"
        (child,) = processes_with(variable, "pipeline.cluster.work")
        status = Path(f"/proc/{child}/status").read_text()
        (parent,) = [line.split()[1] for line in status.splitlines() if line.startswith("PPid")]
        os.kill(int(parent), signal.SIGKILL)
        done = ends(process)
    assert done.code == 0, done.stdout + done.stderr
    assert sweeps.scores() == undisturbed


def test_training_that_is_killed_is_failed_and_the_others_finish(sweeps: Sweeps):
    with sweeps.started(*LONG, "hydra.launcher.members_per_job=1") as process:
        run = sweeps.in_training(2)[0]
        (child,) = processes_with(f"PIPELINE_JOB={run.data.tags['job']}", "pipeline.cluster.work")
        os.kill(child, signal.SIGKILL)
        done = ends(process)
    assert done.code == 1
    assert "was lost: its process ended with code -9" in done.stdout
    assert sweeps.statuses() == ["FAILED", "FINISHED"]
    assert sweeps.run(*LONG, "resume=last").code == 0


def test_the_death_of_the_sweep_ends_its_tasks(sweeps: Sweeps, undisturbed: dict[str, float]):
    with sweeps.started(*LONG) as process:
        sweeps.in_training(2)
        command.end_group(process)
    done = sweeps.run(*LONG, "resume=last")
    assert done.code == 0, done.stdout + done.stderr
    assert sweeps.scores() == undisturbed


def test_an_interrupted_sweep_leaves_checkpoints(sweeps: Sweeps, undisturbed: dict[str, float]):
    with sweeps.started(*LONG) as process:
        before = {run.info.run_id for run in sweeps.in_training(2)}
        interrupt(process)
        done = ends(process)
    assert done.code == 130
    assert sweeps.statuses() == ["KILLED", "KILLED"]
    again = sweeps.run(*LONG, "resume=last")
    assert "2 of them from a checkpoint" in again.stdout
    assert sweeps.scores() == undisturbed
    assert {run.info.run_id for run in command.children(sweeps.root)} == before


def test_a_node_that_is_lost_is_replaced(tmp_path: Path, undisturbed: dict[str, float]):
    with ray_cluster() as cluster:
        sweeps = Sweeps(cluster.space, LAUNCHER, tmp_path)
        with sweeps.started(*LONG, "hydra.launcher.members_per_job=1") as process:
            sweeps.in_training(2)
            cluster.lose_second_node()
            done = ends(process)
        assert done.code == 0, done.stdout + done.stderr
        assert sweeps.scores() == undisturbed


def test_without_an_address_it_starts_on_this_machine(ray: Ray, tmp_path: Path):
    sweeps = Sweeps(ray.space, ("hydra/launcher=ray",), tmp_path)
    done = sweeps.run(*SHORT, "hydra.launcher.mem_gb=2")
    assert done.code == 0, done.stdout + done.stderr
    assert sweeps.statuses() == ["FINISHED"] * 6
    assert not (ray.space.folder / ".ray").exists()


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("hydra.launcher.address=127.0.0.1:7", "no Ray cluster can be reached there"),
        ("hydra.launcher.address=nonsense", "hydra.launcher.address=nonsense: no Ray cluster"),
        (
            "hydra.launcher.num_cpus=64",
            "no node has as much. CPUs, GPUs and GB of the nodes: 1, 0 and",
        ),
        ("hydra.launcher.num_gpus=1", "no node has as much"),
        ("hydra.launcher.mem_gb=900", "mem_gb=900.0: no node has as much"),
    ],
)
def test_what_the_cluster_has_not_is_an_error_within_ten_seconds(
    sweeps: Sweeps, setting: str, said: str
):
    done = sweeps.run(*SHORT, setting)
    assert done.code == 1
    assert said in done.stderr
    assert done.seconds < 10
    assert command.nothing_tracked(sweeps.root)
