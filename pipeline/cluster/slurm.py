"""Slurm: jobs are handed in through submitit, and watched through squeue.

squeue remembers how a job ended for some minutes, so no accounting is needed; where there is
accounting, sacct knows of those that ended longer ago.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from pipeline.cluster.engine import EngineAwayError, Phase, State, Work, need_package
from pipeline.cluster.settings import SlurmSettings
from pipeline.cluster.work import say_all, stop_at
from pipeline.errors import UserError
from pipeline.tracking.locks import JOB_VARIABLE

__all__ = ["Slurm"]

TIMEOUT_S = 10
"""Within which a controller that lives answers."""

MAX_ARRAY = 1000
"""Jobs of one array: as many as Slurm takes unless its configuration says otherwise."""

PHASES = {
    "PENDING": Phase.QUEUED,
    "CONFIGURING": Phase.QUEUED,
    "REQUEUED": Phase.QUEUED,
    "REQUEUE_FED": Phase.QUEUED,
    "REQUEUE_HOLD": Phase.QUEUED,
    "SPECIAL_EXIT": Phase.QUEUED,
    "RESV_DEL_HOLD": Phase.QUEUED,
    "RUNNING": Phase.RUNNING,
    "COMPLETING": Phase.RUNNING,
    "RESIZING": Phase.RUNNING,
    "SIGNALING": Phase.RUNNING,
    "STAGE_OUT": Phase.RUNNING,
    "STOPPED": Phase.RUNNING,
    "SUSPENDED": Phase.RUNNING,
}
"""How far a job is in each of Slurm's states; in any other one it is over."""

ORDINARY = ("None", "Priority", "Resources", "BeginTime", "JobArrayTaskLimit", "Prolog", "Cleaning")
"""Reasons to wait that need no word."""

HOPELESS = (
    "PartitionTimeLimit",
    "PartitionNodeLimit",
    "PartitionConfig",
    "BadConstraints",
    "InvalidAccount",
    "InvalidQOS",
    "AccountNotAllowed",
    "QOSNotAllowed",
    "AssocMaxWallDurationPerJobLimit",
    "QOSMaxWallDurationPerJobLimit",
    "DependencyNeverSatisfied",
)
"""Reasons that no waiting does away with."""


class Slurm:
    """The cluster whose commands are on this machine."""

    name = "slurm"

    def __init__(self, settings: SlurmSettings, folder: Path) -> None:
        """Say what jobs ask for.

        Args:
            settings: of every job.
            folder: on a disk that all nodes share, for what jobs read and say.
        """
        self._settings = settings
        self._folder = folder

    def check(self) -> None:
        """Ask the cluster whether it would take such a job.

        Raises:
            UserError: it doesn't answer, or wouldn't, with its reason.
        """
        need_package("submitit", "hydra/launcher=slurm")
        try:
            _call("scontrol", "ping")
        except EngineAwayError as error:
            raise UserError(
                f"hydra/launcher=slurm: {error}. Run this where sbatch works (a login node), or "
                "leave hydra/launcher=slurm out to train on this machine."
            ) from error
        options = [f"--{key}={value}" for key, value in self._settings.requested.items()]
        try:
            _call("sbatch", "--test-only", *options, "--wrap=true")
        except EngineAwayError as error:
            raise self._refusal(str(error)) from error

    def num_slots(self) -> int:
        """Return how many jobs run at the same time."""
        return self._settings.array_parallelism

    def _refusal(self, reason: str) -> UserError:
        words = re.sub(r"^\w+: (error: )?|allocation failure: ", "", reason)
        return UserError(
            f"hydra/launcher=slurm: Slurm refuses such a job ({words}). It asks for "
            f"{self._settings}; `sinfo` lists what the cluster has."
        )

    def submit(self, pieces: Sequence[Work]) -> list[str]:
        """Hand jobs in as arrays; see `Engine`."""
        from submitit import SlurmExecutor
        from submitit.core.utils import FailedJobError

        settings = self._settings
        self._folder.mkdir(parents=True, exist_ok=True)
        executor = SlurmExecutor(
            self._folder, max_num_timeout=settings.max_requeues, python=settings.python
        )
        more = {**settings.requested, **settings.more}
        additional = {key: value for key, value in more.items() if key != "time"}
        executor.update_parameters(
            job_name="pipeline",
            time=settings.time_min,
            signal_delay_s=settings.signal_delay_s,
            array_parallelism=settings.array_parallelism,
            setup=settings.setup,
            srun_args=[f"--cpus-per-task={settings.cpus_per_task}", *settings.srun_args],
            stderr_to_stdout=True,
            additional_parameters=additional,
        )
        jobs: list[Any] = []
        try:
            for first in range(0, len(pieces), MAX_ARRAY):
                with executor.batch():
                    jobs += [
                        executor.submit(_Task(piece)) for piece in pieces[first : first + MAX_ARRAY]
                    ]
        except FailedJobError as error:
            self.cancel([job.job_id for job in jobs])
            raise self._refusal(str(error).strip().splitlines()[0]) from error
        return [str(job.job_id) for job in jobs]

    def states(self, ids: Collection[str]) -> dict[str, State]:
        """Return how jobs are; see `Engine`."""
        if not ids:
            return {}
        arrays = sorted({job.partition("_")[0] for job in ids})
        options = ("--noheader", "--array", "--states=all", "--format=%i|%T|%r|%N")
        try:
            said = _call("squeue", *options, f"--jobs={','.join(arrays)}")
        except EngineAwayError as error:
            if "Invalid job id" not in str(error):
                raise
            said = ""
        known = dict(_parse(said.splitlines()))
        gone = [job for job in ids if job not in known]
        return known | _ended_before(gone) if gone else known

    def cancel(self, ids: Collection[str]) -> None:
        """End jobs; see `Engine`."""
        if ids:
            _call("scancel", *ids)

    def log_of(self, job: str) -> str:
        """Return the file of what a job has said."""
        return str(self._folder / f"{job}_0_log.out")


def _parse(lines: Iterable[str]) -> Iterable[tuple[str, State]]:
    for line in lines:
        job, state, reason, nodes = line.split("|")
        phase = PHASES.get(state, Phase.OVER)
        if phase is Phase.RUNNING:
            yield job, State(phase, nodes)
        elif phase is Phase.QUEUED:
            plain = reason.strip("()")
            detail = "" if plain in ORDINARY else plain
            yield job, State(phase, detail, is_hopeless=plain in HOPELESS)
        else:
            yield job, State(phase, state if reason in ("None", "") else f"{state}, {reason}")


def _ended_before(ids: Sequence[str]) -> dict[str, State]:
    """Return how jobs ended that squeue has forgotten, as accounting knows it, if there is any."""
    ended = dict.fromkeys(ids, State(Phase.OVER, "Slurm doesn't know it any more"))
    arrays = sorted({job.partition("_")[0] for job in ids})
    try:
        said = _call("sacct", "-X", "-n", "-P", "-o", "JobID,State", "-j", ",".join(arrays))
    except EngineAwayError:
        return ended
    for line in said.splitlines():
        job, _, state = line.partition("|")
        if job in ended:
            ended[job] = State(Phase.OVER, state)
    return ended


def _call(*words: str) -> str:
    """Return what one of Slurm's commands says.

    Raises:
        EngineAwayError: it isn't there, doesn't end, or ends with an error.
    """
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except FileNotFoundError as error:
        raise EngineAwayError(f"there is no command {words[0]} here") from error
    except subprocess.TimeoutExpired as error:
        raise EngineAwayError(f"Slurm's controller doesn't answer within {TIMEOUT_S} s") from error
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or [f"{words[0]} failed"]
        raise EngineAwayError(lines[0])
    return done.stdout


class _Task:
    """A piece as Slurm's jobs do it: at a signal it stops where it can go on."""

    def __init__(self, piece: Work) -> None:
        self._piece = piece

    def __call__(self) -> None:
        """Do the piece; stop at SIGTERM, at submitit's own signal also ask to be queued again."""
        from submitit import JobEnvironment

        os.environ[JOB_VARIABLE] = f"{Slurm.name} {JobEnvironment().job_id}"
        say_all()
        requeue: Any = signal.getsignal(signal.SIGUSR2)
        caught: list[int] = []
        stop_at(signal.SIGUSR2, caught)
        stop_at(signal.SIGTERM, caught)
        self._piece()
        if signal.SIGUSR2 in caught:
            requeue(signal.SIGUSR2, None)

    def checkpoint(self, *args: object) -> Any:
        """Return what submitit queues again: the same, since the store knows what is done."""
        from submitit.helpers import DelayedSubmission

        del args
        return DelayedSubmission(self)
