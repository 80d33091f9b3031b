"""hydra/launcher=slurm on a real cluster of two nodes with accounting."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest
from mlflow.entities import Run

from tests import command
from tests.cluster.slurm import Slurm
from tests.command import Done

pytestmark = pytest.mark.cluster

LIMIT_S = 300

SHORT = ("-m", "loss=mse,ce,nll", "seed=0,1", "trainer.max_epochs=2")
LONG = ("-m", "loss=ce,nll", "trainer.max_epochs=2000", "trainer.evaluate_every=200")
"""Some seconds of training, two runs; no checkpoint but where one is asked for."""


def words(root: Path, *arguments: str) -> list[str]:
    return ["data=digits", "trainer=cpu", f"root={root}", *arguments]


def sweep(slurm: Slurm, root: Path, *arguments: str) -> Done:
    """Run a sweep on the cluster."""
    said = words(root, *arguments, "hydra/launcher=slurm")
    enter, variables = slurm.space.enter, slurm.space.variables
    return command.run(root, *said, before=enter, limit_s=LIMIT_S, **variables)


def starting(slurm: Slurm, root: Path, *arguments: str):
    """Start a sweep on the cluster."""
    said = words(root, *arguments, "hydra/launcher=slurm")
    enter, variables = slurm.space.enter, slurm.space.variables
    return command.started(root, *said, before=enter, limit_s=LIMIT_S, **variables)


def tool(slurm: Slurm, root: Path, name: str, *arguments: str) -> Done:
    enter, variables = slurm.space.enter, slurm.space.variables
    module = f"pipeline.{name}"
    said = (f"root={root}", *arguments)
    return command.run(root, *said, module=module, before=enter, limit_s=LIMIT_S, **variables)


def ends(process: subprocess.Popen[str]) -> Done:
    """Wait for a command's end."""
    stdout, stderr = process.communicate()
    return Done(process.returncode, stdout, stderr, 0.0)


def inner(process: subprocess.Popen[str]) -> int:
    """The command itself, which nsenter has started."""
    (child,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return int(child)


def scores(root: Path) -> dict[str, float]:
    """The validation accuracy of every run, by what was chosen; each must be there once."""
    runs = command.children(root)
    found = {run.data.tags["config_hash"]: run.data.metrics["val/accuracy"] for run in runs}
    assert len(found) == len(runs)
    return found


def statuses(root: Path) -> dict[str, str]:
    """The status of every run by its name."""
    return {str(run.info.run_name): run.info.status for run in command.children(root)}


def training(root: Path) -> list[Run]:
    """The runs that have logged an epoch; the test waits until there are some."""
    if not (root / "mlflow.db").is_file():
        return []
    return [run for run in command.children(root) if run.info.status == "RUNNING"]


def job_of(run: Run) -> str:
    return run.data.tags["job"].removeprefix("slurm ")


def process_of(job: str) -> int:
    """The process that does a job, as this machine counts processes."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                variables = (folder / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            array, _, task = job.partition("_")
            wanted = {f"SLURM_ARRAY_JOB_ID={array}", f"SLURM_ARRAY_TASK_ID={task}"}
            if not task:
                wanted = {f"SLURM_JOB_ID={array}"}
            is_step = b"submitit.core._submit" in (folder / "cmdline").read_bytes()
            is_srun = b"srun" in (folder / "cmdline").read_bytes()
            if is_step and not is_srun and {w.encode() for w in wanted} <= set(variables):
                return int(folder.name)
    raise AssertionError(f"no process does job {job}")


def steps_once(root: Path) -> None:
    """No metric of any run has a step twice."""
    for run in command.children(root):
        assert command.history(root, run, "train/loss")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """The numbers of the long sweep as this machine trains it, nobody disturbing."""
    root = tmp_path_factory.mktemp("undisturbed")
    assert command.run(root, *words(root, *LONG)).code == 0
    return scores(root)


def test_a_group_is_a_job_and_gives_the_numbers_of_basic(slurm: Slurm, tmp_path: Path):
    (tmp_path / "basic").mkdir()
    (tmp_path / "slurm").mkdir()
    basic = command.run(
        tmp_path / "basic", *words(tmp_path / "basic", *SHORT), "hydra/launcher=basic"
    )
    done = sweep(slurm, tmp_path / "slurm", *SHORT, "hydra.launcher.members_per_job=3")
    assert (basic.code, done.code) == (0, 0), done.stderr
    assert scores(tmp_path / "slurm") == scores(tmp_path / "basic")
    jobs = {run.data.tags["job"] for run in command.children(tmp_path / "slurm")}
    assert len(jobs) == 2
    assert re.search(r"6 runs in 2 jobs: \d+_0 to \d+_1", done.stdout)
    assert "loss=nll" in done.stdout.partition("Validation chooses")[2]
    assert "6 of 6 runs have ended" in done.stdout


def test_a_job_that_is_cancelled_is_told_and_its_runs_go_on_later(
    slurm: Slurm, tmp_path: Path, undisturbed: dict[str, float]
):
    with starting(slurm, tmp_path, *LONG, "hydra.launcher.members_per_job=1") as process:
        runs = command.wait_until(lambda: len(training(tmp_path)) == 2 and training(tmp_path), "2")
        slurm.space.call("scancel", job_of(runs[0]))
        done = ends(process)
    assert done.code == 1
    assert f"job {job_of(runs[0])} was lost: CANCELLED" in done.stdout + done.stderr
    assert sorted(statuses(tmp_path).values()) == ["FINISHED", "KILLED"]
    again = sweep(slurm, tmp_path, *LONG, "resume=last")
    assert again.code == 0, again.stderr
    assert "1 finished, 1 to run, 1 of them from a checkpoint" in again.stdout
    assert scores(tmp_path) == undisturbed
    assert {run.info.run_id for run in command.children(tmp_path)} == {r.info.run_id for r in runs}
    steps_once(tmp_path)


def test_a_job_that_is_killed_is_failed_and_the_others_finish(slurm: Slurm, tmp_path: Path):
    with starting(slurm, tmp_path, *LONG, "hydra.launcher.members_per_job=1") as process:
        runs = command.wait_until(lambda: len(training(tmp_path)) == 2 and training(tmp_path), "2")
        os.kill(process_of(job_of(runs[0])), signal.SIGKILL)
        done = ends(process)
    assert done.code == 1
    assert sorted(statuses(tmp_path).values()) == ["FAILED", "FINISHED"]
    assert f"job {job_of(runs[0])} was lost: FAILED" in done.stdout + done.stderr
    assert "1 of 2 runs failed" in done.stderr


@pytest.mark.parametrize("how", ["signal", "preempted", "node"])
def test_a_job_that_is_queued_again_goes_on_in_the_same_runs(
    slurm: Slurm, tmp_path: Path, undisturbed: dict[str, float], how: str
):
    with starting(slurm, tmp_path, *LONG) as process:
        before = command.wait_until(lambda: training(tmp_path), "training")
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
    assert scores(tmp_path) == undisturbed
    steps_once(tmp_path)
    if how != "node":  # then there was no time for a checkpoint
        ids = {run.info.run_id for run in before}
        assert {run.info.run_id for run in command.children(tmp_path)} == ids


def test_a_job_whose_time_is_over_goes_on(slurm: Slurm, tmp_path: Path):
    longer = ("-m", "loss=ce,nll", "trainer.max_epochs=12000", "trainer.evaluate_every=1000")
    limits = ("hydra.launcher.time_min=1", "hydra.launcher.signal_delay_s=40")
    done = sweep(slurm, tmp_path, *longer, *limits)
    assert done.code == 0, done.stdout + done.stderr
    assert "waits again" in done.stdout
    assert set(statuses(tmp_path).values()) == {"FINISHED"}
    steps_once(tmp_path)


def test_jobs_outlive_their_sweep_and_watch_ends_it(
    slurm: Slurm, tmp_path: Path, undisturbed: dict[str, float]
):
    with starting(slurm, tmp_path, *LONG) as process:
        command.wait_until(lambda: training(tmp_path), "training")
        command.end_group(process)
    done = tool(slurm, tmp_path, "watch")
    assert done.code == 0, done.stdout + done.stderr
    assert "Validation chooses" in done.stdout
    assert command.parent(tmp_path).info.status == "FINISHED"
    assert scores(tmp_path) == undisturbed


def test_detached_jobs_are_found_again(slurm: Slurm, tmp_path: Path, undisturbed: dict[str, float]):
    done = sweep(slurm, tmp_path, *LONG, "detach=true")
    assert done.code == 0, done.stderr
    assert "To watch them: python -m pipeline.watch" in done.stdout
    assert command.parent(tmp_path).info.status == "RUNNING"
    healthy = tool(slurm, tmp_path, "doctor")
    assert healthy.code == 0, healthy.stdout
    again = sweep(slurm, tmp_path, *LONG, "resume=last")
    assert again.code == 0, again.stderr
    assert "2 running elsewhere, 0 to run" in again.stdout
    assert scores(tmp_path) == undisturbed
    assert command.parent(tmp_path).info.status == "FINISHED"


def test_an_interrupted_sweep_cancels_its_jobs(slurm: Slurm, tmp_path: Path):
    with starting(slurm, tmp_path, *LONG) as process:
        command.wait_until(lambda: training(tmp_path), "training")
        os.kill(inner(process), signal.SIGINT)
        done = ends(process)
    assert done.code == 130
    assert set(statuses(tmp_path).values()) == {"KILLED"}
    assert command.parent(tmp_path).info.status == "KILLED"
    assert "resume=" in done.stdout
    active = [state for state in slurm.states().values() if state in ("RUNNING", "PENDING")]
    assert active == []


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
def test_what_the_cluster_would_refuse_is_an_error_at_once(
    slurm: Slurm, tmp_path: Path, setting: str, said: str
):
    done = sweep(slurm, tmp_path, *SHORT, setting)
    assert done.code == 1
    assert said in done.stderr
    assert len(done.errors) == 1
    assert command.nothing_tracked(tmp_path)


def test_a_job_that_can_never_be_scheduled_is_told(slurm: Slurm, tmp_path: Path):
    limits = ("hydra.launcher.partition=short", "hydra.launcher.time_min=10")
    done = sweep(slurm, tmp_path, *SHORT, *limits)
    assert done.code == 1
    assert "can't be scheduled, slurm says Partition" in done.stdout
    assert command.parent(tmp_path).info.status == "FAILED"


def test_a_controller_that_is_gone_is_told_within_ten_seconds(slurm: Slurm, tmp_path: Path):
    conf = tmp_path / "slurm.conf"
    ours = (slurm.space.folder / "slurm.conf").read_text()
    conf.write_text(ours.replace("SlurmctldPort=16817", "SlurmctldPort=16999"))
    said = words(tmp_path, *SHORT, "hydra/launcher=slurm")
    variables = {**slurm.space.variables, "SLURM_CONF": str(conf)}
    done = command.run(tmp_path, *said, before=slurm.space.enter, **variables)
    assert done.code == 1
    assert "hydra/launcher=slurm" in done.stderr
    assert done.seconds < 10
    assert command.nothing_tracked(tmp_path)


def test_what_jobs_have_said_lies_beside_their_list(slurm: Slurm, tmp_path: Path):
    assert sweep(slurm, tmp_path, *SHORT).code == 0
    (listed,) = (tmp_path / "mlruns" / "jobs").glob("*/jobs.json")
    (job,) = json.loads(listed.read_text())
    log = listed.with_name(f"{job['id']}_0_log.out")
    assert "6/6 members" in log.read_text()
