"""Handing the runs of a sweep to a cluster, a job for each group, and seeing to the jobs' end."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.cluster.engine import Engine, Phase
from pipeline.cluster.jobs import Job, read_jobs, write_jobs
from pipeline.config.schema import Config
from pipeline.engine.grouping import plan_jobs
from pipeline.process import exits_held
from pipeline.sweep.context import SweepContext
from pipeline.sweep.piece import Piece
from pipeline.sweep.watching import Watch
from pipeline.tracking.provenance import config_hash
from pipeline.tracking.record import RunResult

__all__ = ["Dispatch", "Division"]

log = logging.getLogger("pipeline")


@dataclass(frozen=True)
class Division:
    """How a sweep is divided into jobs."""

    members_per_job: int | None
    """Runs of a job; None: see `plan_jobs`."""
    num_slots: int
    """Jobs at the same time."""
    num_workers: int
    """Cores of a job, each of which trains a group."""
    max_memory_mb: float
    """Memory of one group, > 0."""


class Dispatch:
    """A sweep whose runs are trained by the jobs of an engine."""

    def __init__(
        self, engine: Engine, division: Division, context: SweepContext, *, detach: bool = False
    ) -> None:
        """Say where to and how.

        Args:
            engine: takes the jobs.
            division: of the runs into jobs.
            context: the sweep.
            detach: leave the jobs to themselves once they are handed in.
        """
        assert context.sweep is not None
        self._engine = engine
        self._division = division
        self._context = context
        self._sweep = context.sweep
        self._detach = detach

    def train(
        self, jobs: Sequence[tuple[Config, list[str]]], numbers: Sequence[int]
    ) -> list[RunResult | Exception]:
        """Let jobs train runs, and return run by run its result, or what it failed of.

        Args:
            jobs: config and overrides of each run.
            numbers: of the runs in their sweep, from 0.
        """
        pieces, runs = self._divide(jobs, numbers)
        with exits_held():  # what is handed in is written down
            ids = self._engine.submit(pieces)
            new = [
                Job(self._engine.name, job_id, its_runs)
                for job_id, its_runs in zip(ids, runs, strict=True)
            ]
            root, sweep_id = self._sweep.store.root, self._sweep.run_id
            write_jobs(root, sweep_id, [*read_jobs(root, sweep_id), *new])
        log.info("%s in %s: %s", _count(jobs, "run"), _count(ids, "job"), _spanned(ids))
        watch = self._watch(new)
        return [watch.outcome(config_hash(config)) for config, _ in jobs]

    def wait(self) -> None:
        """See jobs to their end that an earlier command handed in."""
        if self._earlier([]):
            self._watch([])

    def _divide(
        self, jobs: Sequence[tuple[Config, list[str]]], numbers: Sequence[int]
    ) -> tuple[list[Piece], list[dict[str, int]]]:
        division = self._division
        plan = plan_jobs(
            [config for config, _ in jobs],
            members=division.members_per_job,
            max_memory_mb=division.max_memory_mb,
            num_slots=division.num_slots,
        )
        pieces = [
            Piece(
                [jobs[position] for position in positions],
                self._context.fixed,
                self._sweep.run_id,
                division.num_workers,
                division.max_memory_mb,
            )
            for positions in plan
        ]
        runs = [
            {config_hash(jobs[position][0]): numbers[position] for position in positions}
            for positions in plan
        ]
        return pieces, runs

    def _watch(self, new: Sequence[Job]) -> Watch:
        """Watch new jobs and those of earlier commands until they are over, or leave them."""
        jobs = [*self._earlier(new), *new]
        if self._detach and jobs:
            self._sweep.leave()
            sys.exit(0)
        watch = Watch(self._engine, jobs, self._sweep.store, self._sweep.run_id)
        try:
            watch.until_over()
        except BaseException:
            watch.cancel()
            raise
        return watch

    def _earlier(self, new: Sequence[Job]) -> list[Job]:
        """Return the jobs of earlier commands that aren't over."""
        before = [
            job
            for job in read_jobs(self._sweep.store.root, self._sweep.run_id)
            if job.engine == self._engine.name and job not in new
        ]
        states = self._engine.states([job.id for job in before])
        return [job for job in before if states[job.id].phase is not Phase.OVER]


def _count(things: Sequence[object], noun: str) -> str:
    return f"{len(things)} {noun}" if len(things) == 1 else f"{len(things)} {noun}s"


def _spanned(ids: Sequence[str]) -> str:
    return ids[0] if len(ids) == 1 else f"{ids[0]} to {ids[-1]}"
