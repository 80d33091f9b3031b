"""hydra/launcher=slurm on a real cluster of two nodes with accounting."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path

import pytest
from mlflow.entities import Run

from tests import command, trips
from tests.cluster.slurm import Slurm
from tests.cluster.sweeps import (
    LIMIT_S,
    LONG,
    SHORT,
    Sweeps,
    ends,
    interrupt,
    processes_with,
    words,
)

pytestmark = pytest.mark.cluster

LAUNCHER = ("hydra/launcher=slurm",)
ALONE = "hydra.launcher.members_per_job=1"


@pytest.fixture
def sweeps(slurm: Slurm, tmp_path: Path) -> Sweeps:
    return Sweeps(slurm.space, LAUNCHER, tmp_path)


def job_of(run: Run) -> str:
    return run.data.tags["job"].removeprefix("slurm ")


def test_a_group_is_a_job_and_gives_the_numbers_of_basic(sweeps: Sweeps, tmp_path: Path):
    alone = tmp_path / "basic"
    alone.mkdir()
    basic = command.run(alone, *words(alone, *SHORT), "hydra/launcher=basic", limit_s=LIMIT_S)
    done = sweeps.run(*SHORT, "hydra.launcher.members_per_job=3")
    assert (basic.code, done.code) == (0, 0), done.stderr
    runs = command.children(alone)
    expected = {run.data.tags["config_hash"]: run.data.metrics["val/accuracy"] for run in runs}
    assert sweeps.scores() == expected
    assert len({run.data.tags["job"] for run in command.children(sweeps.root)}) == 2
    assert re.search(r"6 runs in 2 jobs: \d+_0 to \d+_1", done.stdout)
    assert "6 of 6 runs have ended" in done.stdout
    assert "Validation chooses" in done.stdout
    (listed,) = sweeps.root.glob("mlruns/jobs/*/jobs.json")
    for job in json.loads(listed.read_text()):
        assert "3/3 members" in listed.with_name(f"{job['id']}_0_log.out").read_text()


def test_a_job_that_is_cancelled_is_told_and_its_run_goes_on_later(
    sweeps: Sweeps, undisturbed: dict[str, float]
):
    with sweeps.started(*LONG, ALONE) as process:
        runs = sweeps.in_training(2)
        sweeps.space.call("scancel", job_of(runs[0]))
        done = ends(process)
    assert done.code == 1
    assert f"job {job_of(runs[0])} was lost: CANCELLED" in done.stdout
    assert sweeps.statuses() == ["FINISHED", "KILLED"]
    again = sweeps.run(*LONG, "resume=last")
    assert again.code == 0, again.stderr
    assert "1 finished, 1 to run, 1 of them from a checkpoint" in again.stdout
    assert sweeps.scores() == undisturbed
    ids = {run.info.run_id for run in runs}
    assert {run.info.run_id for run in command.children(sweeps.root)} == ids


def test_a_job_that_is_killed_is_failed_and_the_others_finish(sweeps: Sweeps):
    with sweeps.started(*LONG, ALONE) as process:
        run = sweeps.in_training(2)[0]
        variable = f"SLURM_ARRAY_TASK_ID={job_of(run).partition('_')[2]}"
        for found in processes_with(variable, "-u\0-m\0submitit.core._submit"):
            os.kill(found, signal.SIGKILL)
        done = ends(process)
    assert done.code == 1
    assert sweeps.statuses() == ["FAILED", "FINISHED"]
    assert f"job {job_of(run)} was lost: FAILED" in done.stdout
    assert "1 of 2 runs failed" in done.stderr


@pytest.mark.parametrize("how", ["signal", "preempted", "node"])
def test_a_job_that_is_queued_again_goes_on_in_the_same_runs(
    slurm: Slurm, sweeps: Sweeps, undisturbed: dict[str, float], how: str
):
    with sweeps.started(*LONG) as process:
        before = sweeps.in_training(2)
        job = job_of(before[0])
        node = slurm.space.call("squeue", "-h", "-o", "%N", f"--jobs={job}").strip()
        if how == "signal":
            slurm.space.call("scancel", "--signal=USR2", job)
        elif how == "preempted":
            wanted = ("--partition=high", f"--nodelist={node}", "--exclusive")
            slurm.space.call("sbatch", *wanted, "--output=/dev/null", "--wrap=sleep 3")
        else:
            slurm.lose_node(node)
        done = ends(process)
    assert done.code == 0, done.stdout + done.stderr
    assert f"job {job}, runs 1-2: waits again" in done.stdout
    assert sweeps.scores() == undisturbed
    if how != "node":  # then there was no time for a checkpoint
        ids = {run.info.run_id for run in before}
        assert {run.info.run_id for run in command.children(sweeps.root)} == ids


def test_a_job_whose_time_is_over_goes_on(sweeps: Sweeps):
    longer = ("-m", "loss=ce,nll", "trainer.max_epochs=8000", "trainer.evaluate_every=1000")
    limits = ("hydra.launcher.time_min=1", "hydra.launcher.signal_delay_s=40")
    done = sweeps.run(*longer, *limits, limit_s=900)
    assert done.code == 0, done.stdout + done.stderr
    assert "waits again" in done.stdout
    assert sweeps.statuses() == ["FINISHED", "FINISHED"]
    assert len(sweeps.scores()) == 2


def test_jobs_outlive_their_sweep_and_watch_ends_it(sweeps: Sweeps, undisturbed: dict[str, float]):
    with sweeps.started(*LONG) as process:
        sweeps.in_training(2)
        command.end_group(process)
    done = sweeps.tool("watch")
    assert done.code == 0, done.stdout + done.stderr
    assert "Validation chooses" in done.stdout
    assert command.parent(sweeps.root).info.status == "FINISHED"
    assert sweeps.scores() == undisturbed


def test_detached_jobs_are_found_again(sweeps: Sweeps, undisturbed: dict[str, float]):
    done = sweeps.run(*LONG, "detach=true")
    assert done.code == 0, done.stderr
    assert "To watch them: python -m pipeline.watch" in done.stdout
    assert command.parent(sweeps.root).info.status == "RUNNING"
    healthy = sweeps.tool("doctor")
    assert healthy.code == 0, healthy.stdout
    again = sweeps.run(*LONG, "resume=last")
    assert again.code == 0, again.stderr
    assert "2 running elsewhere, 0 to run" in again.stdout
    assert sweeps.scores() == undisturbed
    assert command.parent(sweeps.root).info.status == "FINISHED"


def test_an_interrupted_sweep_cancels_its_jobs(slurm: Slurm, sweeps: Sweeps):
    with sweeps.started(*LONG) as process:
        sweeps.in_training(2)
        interrupt(process)
        done = ends(process)
    assert done.code == 130
    assert sweeps.statuses() == ["KILLED", "KILLED"]
    assert command.parent(sweeps.root).info.status == "KILLED"
    assert "To go on: " in done.stdout
    assert not {"RUNNING", "PENDING"} & set(slurm.states().values())


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("hydra.launcher.partition=nowhere", "hydra.launcher.partition=nowhere"),
        ("hydra.launcher.mem_gb=900", "hydra.launcher.mem_gb=900"),
        ("hydra.launcher.mem_gb=1", "hydra.launcher.mem_gb=1.0: must be more than 1.5"),
        ("hydra.launcher.members_per_job=0", "must be a whole number ≥ 1, or auto"),
        ("hydra.launcher.members_per_job=many", "hydra.launcher.members_per_job=many"),
        ("hydra.launcher.time_min=1", "hydra.launcher.signal_delay_s=120: must be less than"),
    ],
)
def test_what_the_cluster_would_refuse_is_an_error_at_once(sweeps: Sweeps, setting: str, said: str):
    done = sweeps.run(*SHORT, setting)
    assert done.code == 1
    assert said in done.stderr
    assert len(done.errors) == 1
    assert command.nothing_tracked(sweeps.root)


def test_a_job_that_can_never_be_scheduled_is_told(sweeps: Sweeps):
    done = sweeps.run(*SHORT, "hydra.launcher.partition=short", "hydra.launcher.time_min=10")
    assert done.code == 1
    assert "can't be scheduled, slurm says Partition" in done.stdout
    assert command.parent(sweeps.root).info.status == "FAILED"


def test_a_controller_that_is_gone_is_told_within_ten_seconds(slurm: Slurm, tmp_path: Path):
    conf = tmp_path / "slurm.conf"
    ours = (slurm.space.folder / "slurm.conf").read_text()
    conf.write_text(ours.replace("SlurmctldPort=16817", "SlurmctldPort=16999"))
    enter = [*slurm.space.enter, f"SLURM_CONF={conf}"]
    done = command.run(tmp_path, *words(tmp_path, *SHORT, *LAUNCHER), before=enter)
    assert done.code == 1
    assert "hydra/launcher=slurm" in done.stderr
    assert done.seconds < 10
    assert command.nothing_tracked(tmp_path)


def test_a_search_hands_its_batches_in(sweeps: Sweeps):
    search = ("-m", "hydra/sweeper=optuna", "optimizer.lr=interval(0.01,1)")
    size = ("hydra.sweeper.n_trials=4", "hydra.sweeper.batch_size=2", "trainer.max_epochs=1")
    refused = sweeps.run(*search, *size, "detach=true")
    assert refused.code == 1
    assert "hydra.launcher.detach=true: a search asks" in refused.stderr
    done = sweeps.run(*search, *size)
    assert done.code == 0, done.stdout + done.stderr
    assert sweeps.statuses() == ["FINISHED"] * 4
    assert len({run.data.tags["job"] for run in command.children(sweeps.root)}) == 2


def test_a_table_of_ones_own_trains_there_as_it_does_here(
    sweeps: Sweeps, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
):
    table = trips.write(tmp_path_factory.mktemp("shared") / "trips.csv")
    of_table = (*trips.OVERRIDES, f"data.path={table}", "trainer.max_epochs=5")
    grid = ("-m", *of_table, "data.split_seed=null", "loss=mse,nll", "seed=0,1")
    alone = tmp_path / "basic"
    alone.mkdir()
    here = command.run(alone, *words(alone, *grid), limit_s=LIMIT_S)
    there = sweeps.run(*grid)
    assert (here.code, there.code) == (0, 0), here.stderr + there.stderr
    runs = command.children(alone)
    expected = {run.data.tags["config_hash"]: run.data.metrics["val/accuracy"] for run in runs}
    assert sweeps.scores() == pytest.approx(expected)
    assert "Validation chooses" in there.stdout
