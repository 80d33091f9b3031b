"""The real command, run in a process of its own, and the store that it leaves behind."""

from __future__ import annotations

import importlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from mlflow import MlflowClient
from mlflow.entities import Run

from tests import warm
from tests.warm import CHECKOUT as CHECKOUT
from tests.warm import environment

with warnings.catch_warnings():
    # MLflow 3.17 still uses an option that SQLAlchemy 2.1 has deprecated.
    warnings.filterwarnings("ignore", "The ``noload`` loader strategy is deprecated")
    importlib.import_module("mlflow.store.tracking.sqlalchemy_store")

TIMEOUT_S = 120
"""A command that takes longer hangs, and is killed: the slowest takes a fifth of it."""

RUN_FILES = {
    "config.yaml",
    "provenance.yaml",
    "weights.safetensors",
    "confusion.csv",
    "curves.png",
    "confusion.png",
    "SHA256SUMS",
}
"""What a run that ended well leaves."""

READ_ON_IMPORT = ("PYTHON", "MLFLOW_", "OMP_", "GOMP_")
"""How variables begin that a process which has imported everything would not see."""

T = TypeVar("T")


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def errors(self) -> list[str]:
        """The lines on standard error."""
        return self.stderr.splitlines()


def run(
    folder: Path,
    *arguments: str,
    module: str = "pipeline",
    before: Sequence[str] = (),
    fresh: bool = False,
    limit_s: float = TIMEOUT_S,
    **variables: str,
) -> Done:
    """Run `python -m module arguments` in a folder and wait for its end; see `started`."""
    with started(
        folder,
        *arguments,
        module=module,
        before=before,
        fresh=fresh,
        limit_s=limit_s,
        quiet=False,
        **variables,
    ) as process:
        start = time.perf_counter()
        stdout, stderr = process.communicate()
        return Done(process.returncode, stdout, stderr, time.perf_counter() - start)


def train(root: Path, *arguments: str) -> Done:
    """Run the command on digits, everything below `root`."""
    return run(root, "data=digits", "trainer=cpu", f"root={root}", *arguments)


@contextmanager
def started(
    folder: Path,
    *arguments: str,
    module: str = "pipeline",
    before: Sequence[str] = (),
    fresh: bool = False,
    limit_s: float = TIMEOUT_S,
    quiet: bool = False,
    **variables: str,
) -> Generator[subprocess.Popen[str]]:
    """Start `python -m module arguments` in a process group of its own, which ends with this.

    It is forked from a process that has imported everything (`tests.warm`), unless it is started by
    another command, with variables that are read on import, or is none of ours.

    Args:
        folder: where it is started.
        arguments: of the command.
        module: the command.
        before: a command that runs this one, such as `unshare`.
        fresh: start a new interpreter in any case, as users do.
        limit_s: when it is killed in any case.
        quiet: throw its output away, for a command whose output nobody reads.
        variables: environment variables.
    """
    output = subprocess.DEVNULL if quiet else subprocess.PIPE
    is_ours = module.startswith(("pipeline", "tests."))
    is_new = fresh or before or not is_ours or any(map(is_read_on_import, variables))
    start = subprocess.Popen[str] if is_new else warm.Command
    process = start(
        [*before, sys.executable, "-m", module, *arguments],
        cwd=folder,
        env=environment(**variables),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        text=True,
        start_new_session=True,
    )
    watchdog = threading.Timer(limit_s, end_group, [process])
    watchdog.start()
    with process:
        try:
            yield process
        finally:
            watchdog.cancel()
            end_group(process)


def is_read_on_import(variable: str) -> bool:
    return variable.startswith(READ_ON_IMPORT)


def end_group(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> None:
    """Kill a process and all that it has started, at once."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=30)


def wait_until(holds: Callable[[], T], what: str, timeout_s: float = 60) -> T:
    """Wait until a condition holds and return its value; fail if it takes too long."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if value := holds():
            return value
        time.sleep(0.05)
    raise AssertionError(f"waited {timeout_s} s: {what}")


def read_until(process: subprocess.Popen[str], pattern: str) -> str:
    """Read a command's output until a line matches."""
    assert process.stdout is not None
    seen = ""
    for line in process.stdout:
        seen += line
        if re.search(pattern, line):
            return seen
    assert process.stderr is not None
    raise AssertionError(f"no line matches {pattern!r} in:\n{seen}\n{process.stderr.read()}")


def client(root: Path) -> MlflowClient:
    """The store below a root, opened as any MLflow user would."""
    assert (root / "mlflow.db").is_file(), "nothing was tracked"
    return MlflowClient(f"sqlite:///{root / 'mlflow.db'}")


def runs(root: Path | MlflowClient) -> list[Run]:
    """All runs of a store, the first one first."""
    store = client(root) if isinstance(root, Path) else root
    experiments = [experiment.experiment_id for experiment in store.search_experiments()]
    return store.search_runs(experiments, order_by=["attributes.start_time ASC"])


def children(root: Path) -> list[Run]:
    """The runs of the sweeps in a store."""
    return [run for run in runs(root) if "mlflow.parentRunId" in run.data.tags]


def parent(root: Path) -> Run:
    """The only run of a store that belongs to no sweep."""
    (found,) = [run for run in runs(root) if "mlflow.parentRunId" not in run.data.tags]
    return found


def artifacts(run: Run) -> Path:
    """The folder of a run's artifacts."""
    uri = run.info.artifact_uri
    assert uri is not None
    return Path(uri.removeprefix("file://"))


def history(root: Path | MlflowClient, run: Run, key: str) -> dict[int, float]:
    """A metric's values by step; fails if a step is there twice."""
    store = client(root) if isinstance(root, Path) else root
    points = store.get_metric_history(run.info.run_id, key)
    steps = [point.step for point in points]
    assert len(set(steps)) == len(steps), f"{key}: {steps}"
    return {point.step: point.value for point in sorted(points, key=lambda point: point.step)}


def nothing_tracked(root: Path) -> bool:
    """Whether neither a store nor a run's files lie below a root."""
    spool = root / "mlruns" / "spool"
    return not (root / "mlflow.db").exists() and not (spool.exists() and any(spool.iterdir()))
