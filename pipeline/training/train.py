"""The runs of a sweep, or one alone: divided into groups, trained side by side, tracked."""

from __future__ import annotations

import gc
import logging
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import closing

from pipeline import memory
from pipeline.engine.grouping import MAX_MEMBERS, MAX_MEMORY_MB, plan_groups
from pipeline.engine.members import sort_members
from pipeline.engine.threads import num_threads
from pipeline.tracking.record import RunResult
from pipeline.training.fit import Epoch, Event, Fitted, Steps, Task, fit
from pipeline.training.gpus import pick_gpus, visible_gpus
from pipeline.training.group import Group, Job, Judge, is_on_cpu
from pipeline.training.memory import MemoryRanOutError
from pipeline.training.progress import Progress, make_progress
from pipeline.training.workers import Ended, Workers, num_cores

__all__ = ["Job", "train_runs"]

log = logging.getLogger("pipeline")


def train_runs(
    jobs: Sequence[Job],
    *,
    parent_run_id: str | None,
    max_members: int = MAX_MEMBERS,
    max_memory_mb: float = MAX_MEMORY_MB,
    num_workers: int | None = None,
    on_start: Callable[[list[int]], None] | None = None,
    judge: Judge | None = None,
) -> list[RunResult | Exception]:
    """Train jobs, in groups and on all cores or GPUs; track each as one MLflow run.

    If memory runs out for a group, or its process is killed as if it had, its members go on in two
    groups of half the size, down to members that are alone.

    Args:
        jobs: in any number.
        parent_run_id: the MLflow run of the sweep that they belong to; None for a single run.
        max_members: see `plan_groups`, like the next one.
        max_memory_mb: see there.
        num_workers: processes that train groups side by side, ≥ 1; None for one per core, or per
            GPU.
        on_start: is told the positions of the jobs of each group when it starts.
        judge: says at the end of an epoch which jobs stop there.

    Returns:
        Job by job its result, or what it failed of.
    """
    on_cpu = all(is_on_cpu(job.config) for job in jobs)
    gpus = [] if on_cpu else pick_gpus(visible_gpus(), [job.config for job in jobs], num_workers)
    allowed = num_cores()  # asked before the number of threads is lowered
    cores = (num_workers or allowed) if on_cpu else None
    plans = _divide(jobs, max_members, max_memory_mb, cores, len(gpus))
    groups = [Group([jobs[place] for place in plan], plan, parent_run_id, judge) for plan in plans]
    num_processes = _num_processes(len(groups), cores, len(gpus))
    gc.freeze()  # what there is by now stays: collecting garbage need not walk it again and again
    with (
        num_threads(1),  # a process that has used more of them can't be forked well
        closing(Workers[Task, Event](num_processes, fit, gpus)) as workers,
        closing(make_progress([group.size for group in groups])) as progress,
    ):
        training = _Training(groups, progress, on_start, alone=num_processes <= 1)
        try:
            workers.do(training.next_task, training.handle)
        except BaseException as error:
            training.interrupt(error)
            raise
    outcomes = training.outcomes()
    return [outcomes[position] for position in range(len(jobs))]


class _Training:
    """The groups of a sweep: which are to start, and what happens to each."""

    def __init__(
        self,
        groups: Sequence[Group],
        progress: Progress,
        on_start: Callable[[list[int]], None] | None,
        *,
        alone: bool,
    ) -> None:
        self._groups = dict(enumerate(groups))
        self._num_groups = len(groups)
        self._to_start = deque(self._groups)
        self._progress = progress
        self._on_start = on_start
        self._alone = alone

    def next_task(self) -> tuple[int, Task] | None:
        """Start the next group that can be started; None if there is none for now."""
        while self._to_start:
            number = self._to_start.popleft()
            group = self._groups[number]
            if self._on_start is not None:
                self._on_start(sorted(group.positions))
            task = group.start(alone=self._alone)
            if task is not None:
                return number, task
        return None

    def handle(self, number: int, event: Event | Ended) -> list[int]:
        """Note what has happened to a group; if it has too little memory, let it go on in two.

        Returns:
            The members that are to stop.
        """
        group = self._groups[number]
        match event:
            case Ended(error=MemoryRanOutError() as error) if len(group.positions) > 1:
                self._split(number, error)
                return []
            case _:
                pass
        stopped = group.handle(event)  # what is shown is noted by then
        self._show(number, event)
        return stopped

    def _show(self, number: int, event: Event | Ended) -> None:
        match event:
            case Steps():
                self._progress.steps(number, event.number)
            case Epoch():
                self._progress.epoch(number, event)
            case Ended():
                self._progress.end(number)
            case Fitted():
                pass

    def _split(self, number: int, error: MemoryRanOutError) -> None:
        group = self._groups[number]
        log.warning(
            "%s: the %d runs of this group go on in two of half the size",
            error.what,
            len(group.positions),
        )
        halves = group.halves()
        if not halves:
            self._progress.end(number)
            return
        del self._groups[number]
        self._progress.split(number, [half.size for half in halves])
        for half in halves:
            self._groups[self._num_groups] = half
            self._to_start.append(self._num_groups)
            self._num_groups += 1

    def interrupt(self, error: BaseException) -> None:
        """End the runs that still go on."""
        for group in self._groups.values():
            group.interrupt(error)

    def outcomes(self) -> dict[int, RunResult | Exception]:
        """Return, by a job's position, its result or what it failed of."""
        return {
            position: outcome
            for group in self._groups.values()
            for position, outcome in zip(group.positions, group.outcomes, strict=True)
        }


def _num_processes(num_groups: int, cores: int | None, num_gpus: int) -> int:
    """Return how many processes train the groups, 0 for this one.

    One alone is worth its start where memory is limited: if it is ended because that runs out, this
    one is there to say so, and goes on with smaller groups.
    """
    number = min(cores or num_gpus, num_groups)
    is_limited = cores is not None and memory.limit_mb() is not None
    return number if number > 1 or is_limited else 0


def _divide(
    jobs: Sequence[Job],
    max_members: int,
    max_memory_mb: float,
    cores: int | None,
    num_gpus: int,
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
            num_gpus=num_gpus if name is None else 1,
        )
        groups += [[together[place] for place in plan] for plan in plans]
    return sorted(groups, key=min)
