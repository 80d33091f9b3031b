"""Groups that train side by side: how many, the same numbers, and what ends with them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import command

NUM_CORES = "from pipeline.training.workers import num_cores; print(num_cores())"

GRID = ("-m", "seed=0,1", "loss=mse,nll", "model=mlp", "model.hidden=[600]")
"""Large enough that its groups are worth a core each."""

TWO = "hydra.launcher.num_workers=2"

LIMITS = {
    "an affinity mask": ("taskset", "--cpu-list", "0"),
    "cgroup v2": (
        "unshare",
        "--mount",
        "sh",
        "-c",
        "mount -t tmpfs none /sys/fs/cgroup"
        " && echo '100000 100000' > /sys/fs/cgroup/cpu.max"
        ' && exec "$@"',
        "sh",
    ),
    "cgroup v1": (
        "unshare",
        "--mount",
        "sh",
        "-c",
        "mount -t tmpfs none /sys/fs/cgroup && mkdir /sys/fs/cgroup/cpu"
        " && echo 100000 > /sys/fs/cgroup/cpu/cpu.cfs_quota_us"
        " && echo 100000 > /sys/fs/cgroup/cpu/cpu.cfs_period_us"
        ' && exec "$@"',
        "sh",
    ),
    "the user's own setting": ("env", "OMP_NUM_THREADS=1"),
}

needs_two_cores = pytest.mark.skipif(
    len(os.sched_getaffinity(0)) < 2, reason="on one core nothing trains side by side"
)


def ask(*before: str, code: str = NUM_CORES) -> str:
    done = subprocess.run(
        [*before, sys.executable, "-c", code],
        env=command.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@needs_two_cores
@pytest.mark.parametrize("limit", LIMITS)
def test_no_more_cores_are_kept_busy_than_allowed(limit: str):
    assert int(ask()) > 1
    assert ask(*LIMITS[limit]) == "1"


def test_threads_wait_for_each_other_as_the_user_says():
    code = "import pipeline, os; print(os.environ.get('GOMP_SPINCOUNT'))"
    assert int(ask(code=code)) < 100_000
    assert ask("env", "GOMP_SPINCOUNT=5", code=code) == "5"
    assert ask("env", "OMP_WAIT_POLICY=active", code=code) == "None"


def workers_of(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in children.split()]


def final_metrics(root: Path) -> dict[str, dict[str, float]]:
    return {
        run.info.run_name or "": {
            key: value for key, value in run.data.metrics.items() if not key.startswith("time/")
        }
        for run in command.children(root)
    }


@needs_two_cores
def test_runs_get_the_numbers_side_by_side_that_they_get_in_one_process(tmp_path: Path):
    exact = (*GRID, "trainer.max_epochs=2", "trainer.precision=float64")
    found: dict[str, dict[str, dict[str, float]]] = {}
    for workers in ("1", "2"):
        root = tmp_path / workers
        root.mkdir()
        done = command.train(root, *exact, f"hydra.launcher.num_workers={workers}")
        assert (done.code, done.stderr) == (0, "")
        assert ("group 2/2" in done.stdout) == (workers == "2")
        found[workers] = final_metrics(root)
    assert found["1"].keys() == found["2"].keys()
    for name, metrics in found["1"].items():
        assert found["2"][name] == pytest.approx(metrics, rel=1e-9)


@needs_two_cores
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_workers_end_with_the_process_that_started_them(number: signal.Signals, tmp_path: Path):
    arguments = ("data=digits", "trainer=cpu", f"root={tmp_path}", *GRID, TWO)
    with command.started(tmp_path, *arguments, "trainer.max_epochs=100000") as process:
        command.read_until(process, "group 2/2  epoch 3/")
        workers = workers_of(process.pid)
        assert len(workers) == 2
        os.kill(process.pid, number)
        process.communicate(timeout=10)
    command.wait_until(lambda: not any(map(is_running, workers)), "workers that are left")


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
