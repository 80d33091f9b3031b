"""The runs of a sweep, or one alone: divided into groups, trained on all cores, tracked."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing

from pipeline import memory
from pipeline.engine.grouping import MAX_MEMBERS, MAX_MEMORY_MB, plan_groups
from pipeline.engine.members import sort_members
from pipeline.tracking.record import RunResult
from pipeline.training.fit import Epoch, Event, Fitted, Steps, Task, fit
from pipeline.training.group import Group, Job, is_on_cpu
from pipeline.training.progress import Progress, make_progress
from pipeline.training.workers import Ended, Workers, num_cores, num_threads

__all__ = ["Job", "train_runs"]


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
    on_cpu = all(is_on_cpu(job.config) for job in jobs)
    allowed = num_cores()  # asked before the number of threads is lowered
    cores = (num_workers or allowed) if on_cpu else None
    plans = _divide(jobs, max_members, max_memory_mb, cores)
    groups = [Group(jobs, plan, parent_run_id) for plan in plans]
    num_processes = _num_processes(len(groups), cores)
    gc.freeze()  # what there is by now stays: collecting garbage need not walk it again and again
    with (
        num_threads(1),  # a process that has used more of them can't be forked well
        closing(Workers[Task, Event](num_processes, fit)) as workers,
        closing(make_progress([group.size for group in groups])) as progress,
    ):

        def tasks() -> Iterator[tuple[int, Task]]:
            for number, (group, plan) in enumerate(zip(groups, plans, strict=True)):
                if on_start is not None:
                    on_start(sorted(plan))
                task = group.start(alone=num_processes <= 1)
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


def _num_processes(num_groups: int, cores: int | None) -> int:
    """Return how many processes train the groups, 0 for this one.

    One alone is worth its start where memory is limited: if it is ended because that runs out, this
    one is there to say so. What uses a GPU can't be forked.
    """
    if cores is None:
        return 0
    number = min(cores, num_groups)
    return number if number > 1 or memory.limit_mb() is not None else 0


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
