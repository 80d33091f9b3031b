"""Sweeps on a cluster in a private namespace, and what they leave."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from mlflow.entities import Run

from tests import command
from tests.cluster.namespace import Namespace
from tests.command import Done

SHORT = ("-m", "loss=mse,ce,nll", "seed=0,1", "trainer.max_epochs=2")

LONG = ("-m", "loss=ce,nll", "trainer.max_epochs=2500", "trainer.evaluate_every=100")
"""Ten seconds of training or more, two runs; no checkpoint but where one is asked for."""

LIMIT_S = 300


def words(root: Path, *arguments: str) -> list[str]:
    """What is typed of any sweep here."""
    return ["data=digits", "trainer=cpu", f"root={root}", *arguments]


@dataclass(frozen=True)
class Sweeps:
    """Sweeps that one cluster trains, in one root."""

    space: Namespace
    launcher: tuple[str, ...]
    root: Path

    def run(self, *arguments: str, limit_s: float = LIMIT_S) -> Done:
        """Run a sweep to its end."""
        said = words(self.root, *self.launcher, *arguments)
        return self._run("pipeline", *said, limit_s=limit_s)

    def tool(self, name: str, *arguments: str) -> Done:
        """Run one of the other commands."""
        return self._run(f"pipeline.{name}", f"root={self.root}", *arguments)

    def _run(self, module: str, *said: str, limit_s: float = LIMIT_S) -> Done:
        enter = self.space.enter
        return command.run(self.root, *said, module=module, before=enter, limit_s=limit_s)

    def started(self, *arguments: str) -> AbstractContextManager[subprocess.Popen[str]]:
        """Start a sweep."""
        said = words(self.root, *self.launcher, *arguments)
        return command.started(self.root, *said, before=self.space.enter, limit_s=LIMIT_S)

    def in_training(self, number: int) -> list[Run]:
        """Wait until so many runs train, each for some epochs already, and return them."""
        return command.wait_until(lambda: self._running(number), f"{number} runs train", 120)

    def _running(self, number: int) -> list[Run]:
        if not (self.root / "mlflow.db").is_file():
            return []
        found = [run for run in command.children(self.root) if run.info.status == "RUNNING"]
        logs = [path.read_text() for path in self.root.glob("mlruns/jobs/*/*_log.out")]
        return found if len(found) == number and all("epoch " in log for log in logs) else []

    def scores(self) -> dict[str, float]:
        """The validation accuracy by config_hash; every run must be there once, no step twice."""
        runs = command.children(self.root)
        for run in runs:
            assert command.history(self.root, run, "train/loss")
        found = {run.data.tags["config_hash"]: run.data.metrics["val/accuracy"] for run in runs}
        assert len(found) == len(runs)
        return found

    def statuses(self) -> list[str]:
        """The status of every run."""
        return sorted(run.info.status for run in command.children(self.root))


def ends(process: subprocess.Popen[str]) -> Done:
    """Wait for a command's end."""
    stdout, stderr = process.communicate()
    return Done(process.returncode, stdout, stderr, 0.0)


def interrupt(process: subprocess.Popen[str]) -> None:
    """Press Ctrl-C in the command itself, which nsenter has started."""
    (child,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(child), signal.SIGINT)


def processes_with(variable: str, called: str) -> list[int]:
    """The processes, as this machine counts them, with a variable and a word in what was called."""
    found: list[int] = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            variables = (folder / "environ").read_bytes().split(b"\0")
            calls = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if variable.encode() in variables and called.encode() in calls:
            found.append(int(folder.name))
    return found
