"""A group as the process that tracks it sees it: its MLflow runs, and what becomes of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from pipeline.config.schema import Config
from pipeline.data.tensors import Data, commonest_share
from pipeline.engine.evaluation import Epochs, best_on_val
from pipeline.engine.grouping import multiplications, steps_per_epoch
from pipeline.errors import InterruptedRunError, UserError
from pipeline.process import is_asked_to_stop
from pipeline.tracking.locks import process_lock
from pipeline.tracking.provenance import origin_tags, params, run_name
from pipeline.tracking.record import (
    COMMONEST_TAG,
    PRUNED_TAG,
    DatasetRecord,
    Record,
    RunResult,
    new_ids,
)
from pipeline.tracking.run import LiveMetrics, TrackedRun, close_runs, renew_tags, start_runs
from pipeline.tracking.store import open_store
from pipeline.training.artifacts import write_configs
from pipeline.training.fit import Epoch, Event, Fitted, JudgedEpoch, Steps, Task, load_data
from pipeline.training.progress import GroupSize
from pipeline.training.resumption import Resumption
from pipeline.training.workers import Ended, num_cores

__all__ = ["Group", "Job", "Judge", "is_on_cpu"]

Judge = Callable[[int, Mapping[int, float]], Collection[int]]
"""Takes an epoch and the validation accuracy of jobs by position; returns those that stop."""

MAX_FIGURES = 8
"""Runs of larger groups get their figures from `python -m pipeline.figures`: drawing them takes
longer than training does."""

MUCH = 0.6
"""Share of the commonest class from which a run says so."""

MANY_MULTIPLICATIONS = 16_000_000
"""In one product of a step, from which several threads are worth waiting for each other."""


@dataclass(frozen=True)
class Job:
    """What is known of a run before it starts."""

    config: Config
    """Checked."""
    overrides: Sequence[str]
    """What was said for it on the command line."""
    fixed: Collection[str] = ()
    """Those of them that the others of its sweep have too."""
    interrupted: RunResult | None = None
    """The run that it goes on with, if that left a checkpoint."""


class Group:
    """Jobs that train as one batched network, while they are tracked."""

    def __init__(
        self,
        members: Sequence[Job],
        positions: Sequence[int],
        parent_run_id: str | None,
        judge: Judge | None = None,
    ) -> None:
        """Take the members.

        Args:
            members: in the order of `sort_members`.
            positions: theirs among all jobs of their sweep.
            parent_run_id: the MLflow run of that; None for a single run.
            judge: says which jobs stop early.
        """
        self.positions = list(positions)
        self._members = list(members)
        self._judge = judge
        self._configs = [member.config for member in self._members]
        self._parent_run_id = parent_run_id
        self._runs: list[TrackedRun] = []
        self._epochs: list[Epochs] = []
        self._live: LiveMetrics | None = None
        self._fitted: Fitted | None = None
        self.outcomes: list[RunResult | Exception] = []
        """Member by member the result, or what it failed of; once the group has ended."""

    @property
    def size(self) -> GroupSize:
        """How much there is to do."""
        config = self._configs[0]
        num_steps = steps_per_epoch(config)
        num_epochs = config.trainer.num_epochs(num_steps)
        return GroupSize(len(self._members), num_epochs, num_steps)

    def start(self, *, alone: bool) -> Task | None:
        """Start the MLflow runs and return what there is to do, None if that failed.

        Args:
            alone: no other group trains at the same time.
        """
        if is_asked_to_stop():
            self._fail(InterruptedRunError("asked to stop before it started"))
            return None
        try:
            return self._start(alone=alone)
        except Exception as error:
            self._fail(error)
            return None

    def _start(self, *, alone: bool) -> Task:
        if not self._runs:
            self._begin()
        config = self._configs[0]
        self._epochs = self._resumption.restore(self._runs)
        self._live = LiveMetrics(self._runs)
        many = multiplications(config) * len(self._members) > MANY_MULTIPLICATIONS
        return Task(
            configs=self._configs,
            folders=[run.artifacts for run in self._runs],
            titles=[run.record.name for run in self._runs],
            draws_figures=len(self._members) <= MAX_FIGURES,
            checkpoints=self._resumption.folder,
            members=self._resumption.members,
            start=self._resumption.start,
            num_threads=num_cores() if alone and many else 1,
            is_judged=self._judge is not None,
        )

    def _begin(self) -> None:
        """Start the MLflow runs, or go on with those that left a checkpoint."""
        config = self._configs[0]
        interrupted = [member.interrupted for member in self._members]
        self._resumption = Resumption(self._configs, interrupted)
        open_store(config.tracking, Path(config.root)).remove(self._resumption.given_up)
        self._start_runs(load_data(config))
        self._resumption.count_sent(self._runs)
        for run, job in zip(self._runs, self._members, strict=True):
            write_configs(run.artifacts, job.config, job.overrides, _device(job.config))

    def _start_runs(self, data: Data) -> None:
        """Start the MLflow runs in the order of the sweep."""
        config = self._configs[0]
        in_order = sorted(range(len(self.positions)), key=self.positions.__getitem__)
        records = [
            self._record(member, data, record_id)
            for member, record_id in zip(in_order, new_ids(len(in_order)), strict=True)
        ]
        runs = start_runs(
            open_store(config.tracking, Path(config.root)),
            records,
            offline_is_fine=self._parent_run_id is not None,
        )
        run_of_member = dict(zip(in_order, runs, strict=True))
        self._runs = [run_of_member[member] for member in range(len(runs))]

    def _record(self, member: int, data: Data, record_id: str) -> Record:
        """Return the record of a member that starts, with all that is known of it."""
        job, config = self._members[member], self._configs[member]
        sizes = {"data.num_train": str(len(data.train)), "data.num_val": str(len(data.val))}
        tags = {
            **config.tracking.tags,
            **origin_tags(),
            "config_hash": self._resumption.members[member],
            "data_hash": data.digest,
            "checkpoint": self._resumption.name,
            "lock": process_lock(Path(config.root)),
        }
        if (share := commonest_share(data.val)) > MUCH:
            tags[COMMONEST_TAG] = f"{share:.4f}"
        if self._parent_run_id:
            tags["mlflow.parentRunId"] = self._parent_run_id
        return Record(
            experiment_name=config.tracking.experiment_name,
            name=run_name(job.overrides, job.fixed),
            tags=tags,
            params=params(config) | sizes,
            dataset=DatasetRecord(
                data.name, data.digest, data.source, len(data.train), len(data.val), len(data.test)
            ),
            id=record_id,
            run_id=self._resumption.run_id(member),
        )

    def handle(self, event: Event | Ended) -> list[int]:
        """Note what has happened to the group; return the members that stop, if it asks."""
        match event:
            case Epoch():
                for member, metrics in event.metrics.items():
                    self._epochs[member][event.number] = metrics
                    self._runs[member].record.log(event.number, metrics)
                if self._live is not None:
                    self._live.send_if_due()
            case Fitted():
                self._fitted = event
            case Ended():
                self._finish() if event.error is None else self._fail(event.error)
            case Steps():
                pass
        return self._judged(event) if isinstance(event, JudgedEpoch) else []

    def _judged(self, epoch: JudgedEpoch) -> list[int]:
        """Return the members that stop after an epoch, noted as such: they are no whole runs."""
        assert self._judge is not None
        members = {self.positions[member]: member for member in epoch.metrics}
        reached = {
            self.positions[member]: metrics["val/accuracy"]
            for member, metrics in epoch.metrics.items()
        }
        pruned = [members[position] for position in self._judge(epoch.number, reached)]
        for member in pruned:
            self._runs[member].record.tags[PRUNED_TAG] = str(epoch.number)
        return pruned

    def _finish(self) -> None:
        """End the runs of a group that is trained."""
        assert self._fitted is not None
        seconds = self._fitted.seconds / len(self._runs)
        failures = {member: UserError(text) for member, text in self._fitted.failures.items()}
        errors = [failures.get(member) for member in range(len(self._runs))]
        for run, epochs, error in zip(self._runs, self._epochs, errors, strict=True):
            if error is None:
                run.record.log(max(epochs), {**best_on_val(epochs), "time/fit_s": seconds})
        try:
            close_runs(self._runs, errors)
        except UserError as failure:
            errors = [error or failure for error in errors]
        else:
            self._resumption.discard()
        self.outcomes = [
            error or run.record.result() for run, error in zip(self._runs, errors, strict=True)
        ]
        self._let_go()

    def halves(self) -> list[Group]:
        """Return two groups of half the members each, in which their runs go on.

        They do so from the last checkpoint, else from the start. If that can't be prepared, this
        group has failed, and there are none.
        """
        middle = -(-len(self._members) // 2)
        try:
            parts = [self._part(slice(middle)), self._part(slice(middle, None))]
            if renew_tags(self._runs):
                self._resumption.discard()
        except Exception as error:
            self._fail(error)
            return []
        return parts

    def _part(self, members: slice) -> Group:
        """Return some of the members as a group of their own."""
        positions = self.positions[members]
        part = Group(self._members[members], positions, self._parent_run_id, self._judge)
        part._runs = self._runs[members]
        so_far = [run.record.result() for run in part._runs]
        part._resumption = Resumption(part._configs, so_far)
        for run in part._runs:
            run.record.tags["checkpoint"] = part._resumption.name
        return part

    def interrupt(self, error: BaseException) -> None:
        """End the runs that still go on."""
        still_open = [run for run in self._runs if run.record.status == "RUNNING"]
        if still_open:
            close_runs(still_open, [error] * len(still_open))

    def _fail(self, error: Exception) -> None:
        self.interrupt(error)
        self.outcomes = [error] * len(self._members)
        self._let_go()

    def _let_go(self) -> None:
        """Forget the records: of 100,000 runs they would take a gigabyte."""
        self._runs, self._epochs, self._live = [], [], None


def is_on_cpu(config: Config) -> bool:
    """Return whether a run trains on the CPU of this machine."""
    return config.trainer.accelerator == "cpu" or not torch.cuda.is_available()


def _device(config: Config) -> str:
    return "cpu" if is_on_cpu(config) else torch.cuda.get_device_name()
