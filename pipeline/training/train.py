"""The runs of a sweep, or one alone: divided into groups, trained on all cores, tracked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import torch

from pipeline.config.schema import Config
from pipeline.data.tensors import Data
from pipeline.engine.evaluation import Epochs, best_on_val
from pipeline.engine.grouping import MAX_MEMBERS, MAX_MEMORY_MB, multiplications, plan_groups
from pipeline.engine.members import sort_members
from pipeline.errors import UserError
from pipeline.tracking.locks import process_lock
from pipeline.tracking.provenance import config_hash, environment_tags, params, run_name
from pipeline.tracking.record import DatasetRecord, RunResult
from pipeline.tracking.run import LiveMetrics, TrackedRun, start_run
from pipeline.tracking.store import open_store
from pipeline.training.artifacts import write_configs
from pipeline.training.fit import Epoch, Event, Fitted, Steps, Task, fit, load_data
from pipeline.training.progress import GroupSize, Progress, make_progress
from pipeline.training.resumption import Resumption
from pipeline.training.workers import Ended, Workers, num_cores, num_threads

__all__ = ["Job", "train_runs"]

MAX_FIGURES = 8
"""Runs of larger sweeps get their figures from `python -m pipeline.figures`: drawing them takes
longer than training does."""

MANY_MULTIPLICATIONS = 16_000_000
"""In one product of a step, from which several threads are worth waiting for each other."""


@dataclass(frozen=True)
class Job:
    """What is known of a run before it starts."""

    config: Config
    """Checked."""
    overrides: Sequence[str]
    """What set it apart on the command line."""
    interrupted: RunResult | None = None
    """The run that it goes on with, if that left a checkpoint."""


def train_runs(
    jobs: Sequence[Job],
    *,
    parent_run_id: str | None,
    max_members: int = MAX_MEMBERS,
    max_memory_mb: float = MAX_MEMORY_MB,
    num_workers: int | None = None,
    on_start: Callable[[list[int]], None] | None = None,
) -> list[RunResult | Exception]:
    """Train jobs, in groups and on all cores; track each as one MLflow run.

    Args:
        jobs: in any number.
        parent_run_id: the MLflow run of the sweep that they belong to; None for a single run.
        max_members: see `plan_groups`, like the next one.
        max_memory_mb: see there.
        num_workers: processes that train groups side by side, ≥ 1; None for one per core.
        on_start: is told the positions of the jobs of each group when it starts.

    Returns:
        Job by job its result, or what it failed of.
    """
    on_cpu = all(_is_on_cpu(job.config) for job in jobs)
    cores = (num_workers or num_cores()) if on_cpu else None
    plans = _divide(jobs, max_members, max_memory_mb, cores)
    draws_figures = len(jobs) <= MAX_FIGURES
    groups = [_Group(jobs, plan, parent_run_id, draws_figures) for plan in plans]
    num_processes = min(cores or 1, len(groups))
    with (
        num_threads(1),  # a process that has used more of them can't be forked well
        closing(Workers[Task, Event](num_processes, fit)) as workers,
        closing(make_progress([group.size for group in groups])) as progress,
    ):

        def tasks() -> Iterator[tuple[int, Task]]:
            for number, (group, plan) in enumerate(zip(groups, plans, strict=True)):
                if on_start is not None:
                    on_start(sorted(plan))
                task = group.start(alone=num_processes == 1)
                if task is not None:
                    yield number, task

        def handle(number: int, event: Event | Ended) -> None:
            groups[number].handle(event)
            _show(progress, number, event)

        try:
            workers.do(tasks(), handle)
        except BaseException as error:
            for group in groups:
                group.interrupt(error)
            raise
    outcomes: dict[int, RunResult | Exception] = {}
    for group, plan in zip(groups, plans, strict=True):
        outcomes |= zip(plan, group.outcomes, strict=True)
    return [outcomes[position] for position in range(len(jobs))]


def _is_on_cpu(config: Config) -> bool:
    return config.trainer.accelerator == "cpu" or not torch.cuda.is_available()


def _divide(
    jobs: Sequence[Job], max_members: int, max_memory_mb: float, cores: int | None
) -> list[list[int]]:
    """Return the positions of each group's jobs, in the order of `sort_members`.

    Those of one checkpoint go on together, the others start.
    """
    alike: dict[str | None, list[int]] = {}
    for position in sort_members([job.config for job in jobs]):
        run = jobs[position].interrupted
        alike.setdefault(run.tags["checkpoint"] if run else None, []).append(position)
    groups: list[list[int]] = []
    for name, together in alike.items():
        plans = plan_groups(
            [jobs[position].config for position in together],
            max_members=max_members,
            max_memory_mb=max_memory_mb,
            num_cores=cores if name is None else None,
        )
        groups += [[together[place] for place in plan] for plan in plans]
    return sorted(groups, key=min)


def _show(progress: Progress, number: int, event: Event | Ended) -> None:
    match event:
        case Steps():
            progress.steps(number, event.number)
        case Epoch():
            progress.epoch(number, event)
        case Ended():
            progress.end(number)
        case Fitted():
            pass


class _Group:
    """A group while it is tracked: its MLflow runs, and what is known of them."""

    def __init__(
        self,
        jobs: Sequence[Job],
        plan: Sequence[int],
        parent_run_id: str | None,
        draws_figures: bool,
    ) -> None:
        """Take the jobs of a sweep, and the positions of this group's in the members' order."""
        self._plan = list(plan)
        self._members = [jobs[position] for position in plan]
        self._configs = [member.config for member in self._members]
        self._parent_run_id = parent_run_id
        self._draws_figures = draws_figures
        self._runs: list[TrackedRun] = []
        self._epochs: list[Epochs] = []
        self._fitted: Fitted | None = None
        self.outcomes: list[RunResult | Exception] = []
        """Member by member the result, or what it failed of; once the group has ended."""

    @property
    def size(self) -> GroupSize:
        """How much there is to do."""
        config = self._configs[0]
        num_steps = -(-config.data.num_train // config.data.batch_size)
        num_epochs = config.trainer.num_epochs(num_steps)
        return GroupSize(len(self._members), num_epochs, num_steps)

    def start(self, *, alone: bool) -> Task | None:
        """Start the MLflow runs and return what there is to do, None if that failed.

        Args:
            alone: no other group trains at the same time.
        """
        try:
            return self._start(alone=alone)
        except Exception as error:
            self._fail(error)
            return None

    def _start(self, *, alone: bool) -> Task:
        config = self._configs[0]
        self._resumption = Resumption(
            self._configs, [member.interrupted for member in self._members]
        )
        open_store(config.tracking, Path(config.root)).remove(self._resumption.given_up)
        data = load_data(config)
        started: dict[int, TrackedRun] = {}
        for position, member in sorted(zip(self._plan, range(len(self._plan)), strict=True)):
            job, run_id = self._members[member], self._resumption.run_id(member)
            run = _start_run(job, data, self._parent_run_id, self._resumption.name, run_id)
            started[position] = run
            write_configs(run.artifacts, job.config, job.overrides)
            run.go_on(self._resumption.epochs(member))
        self._runs = [started[position] for position in self._plan]
        self._epochs = [self._resumption.epochs(member) for member in range(len(self._plan))]
        self._live = LiveMetrics(self._runs)
        many = multiplications(config) * len(self._members) > MANY_MULTIPLICATIONS
        return Task(
            configs=self._configs,
            folders=[run.artifacts for run in self._runs],
            titles=[run.record.name for run in self._runs],
            draws_figures=self._draws_figures,
            checkpoints=self._resumption.folder,
            members=self._resumption.members,
            start=self._resumption.start,
            num_threads=num_cores() if alone and many else 1,
        )

    def handle(self, event: Event | Ended) -> None:
        """Note what has happened to the group."""
        match event:
            case Epoch():
                for member, metrics in event.metrics.items():
                    self._epochs[member][event.number] = metrics
                    self._runs[member].record.log(event.number, metrics)
                self._live.send_if_due()
            case Fitted():
                self._fitted = event
            case Ended():
                self._finish() if event.error is None else self._fail(event.error)
            case Steps():
                pass

    def _finish(self) -> None:
        """End the runs of a group that is trained."""
        assert self._fitted is not None
        seconds = self._fitted.seconds / len(self._runs)
        for member, (run, epochs) in enumerate(zip(self._runs, self._epochs, strict=True)):
            error: Exception | None = None
            if member in self._fitted.failures:
                error = UserError(self._fitted.failures[member])
            else:
                run.record.log(max(epochs), {**best_on_val(epochs), "time/fit_s": seconds})
            try:
                run.close(error)
            except UserError as failure:
                error = failure
            self.outcomes.append(error or run.record.result())
        self._resumption.discard()

    def interrupt(self, error: BaseException) -> None:
        """End the runs that still go on."""
        for run in self._runs:
            if run.record.status == "RUNNING":
                run.close(error)

    def _fail(self, error: Exception) -> None:
        self.interrupt(error)
        self.outcomes = [error] * len(self._members)


def _start_run(
    job: Job, data: Data, parent_run_id: str | None, checkpoint: str, run_id: str | None
) -> TrackedRun:
    """Start a job's MLflow run, or go on with the one of `run_id`, with all that is known of it."""
    config = job.config
    tags = {
        **config.tracking.tags,
        **environment_tags(),
        "device": "cpu" if _is_on_cpu(config) else torch.cuda.get_device_name(),
        "config_hash": config_hash(config),
        "data_hash": data.digest,
        "checkpoint": checkpoint,
        "lock": process_lock(Path(config.root)),
    }
    if parent_run_id:
        tags["mlflow.parentRunId"] = parent_run_id
    return start_run(
        open_store(config.tracking, Path(config.root)),
        experiment_name=config.tracking.experiment_name,
        name=run_name(job.overrides),
        tags=tags,
        params=params(config),
        dataset=DatasetRecord(
            data.name, data.digest, data.source, len(data.train), len(data.val), len(data.test)
        ),
        offline_is_fine=parent_run_id is not None,
        run_id=run_id,
    )
