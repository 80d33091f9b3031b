"""Watching the jobs that a cluster trains a sweep with: queued, running, done or lost.

The runs in the store are what counts. The engine is only asked what the store can't know: whether
somebody still works on a run that isn't finished, and what a job waits for.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from pipeline.cluster.engine import Engine, EngineAwayError, Phase, State
from pipeline.cluster.jobs import Job
from pipeline.errors import UserError
from pipeline.sweep.headline import spans
from pipeline.tracking.record import RunEnd, RunResult
from pipeline.tracking.spool import send_records
from pipeline.tracking.store import STORE_ERRORS, Store

__all__ = ["Watch"]

log = logging.getLogger("pipeline")

ASK_EVERY_S = 2.0
"""At most so often; less often where asking takes long."""

MAX_SHARE = 0.1
"""The share of the time, at most, that asking takes."""

SUMMARY_EVERY_S = 30.0

CANCEL_WITHIN_S = 40.0
"""For jobs that are cancelled to leave a checkpoint and to say how their runs ended."""

LOST_AFTER = 2
"""So many times in a row a job has to be over while its runs aren't: a shared disk may be late."""

ENDED = ("FINISHED", "FAILED")


class Watch:
    """Follows jobs until the last one is over."""

    def __init__(self, engine: Engine, jobs: Sequence[Job], store: Store, sweep_id: str) -> None:
        """Say which jobs, and where their runs are tracked."""
        self._engine = engine
        self._jobs = {job.id: job for job in jobs}
        self._store = store
        self._sweep_id = sweep_id
        self._states = {job.id: State(Phase.QUEUED) for job in jobs}
        self._times_over: Counter[str] = Counter()
        self._lost: dict[str, UserError] = {}
        self._runs: Mapping[str, RunResult] = {}
        self._num_ended_at_start: int | None = None
        self._started = self._summarized = time.monotonic()
        self._is_away = False

    @property
    def _open(self) -> list[str]:
        """The jobs that aren't over, by id."""
        return [job_id for job_id, state in self._states.items() if state.phase is not Phase.OVER]

    def until_over(self) -> None:
        """Say what happens until all jobs are over."""
        self._repeat(lambda: not self._open)
        self._summarize()

    def cancel(self) -> None:
        """End the jobs that aren't over; their runs are KILLED, with a checkpoint if in time."""
        ids = self._open
        if not ids:
            return
        log.info("cancelling %d jobs", len(ids))
        deadline = time.monotonic() + CANCEL_WITHIN_S
        with suppress(EngineAwayError):
            self._engine.cancel(ids)
        self._repeat(lambda: not self._open or time.monotonic() > deadline)
        self._end_runs(ids, "KILLED", "its job was cancelled")

    def outcome(self, key: str) -> RunResult | Exception:
        """Return what became of a run, by its config_hash, when all jobs are over."""
        run = self._runs.get(key)
        if run is not None and run.status == "FINISHED":
            return run
        lost = [error for job_id, error in self._lost.items() if key in self._jobs[job_id].runs]
        if lost:
            return lost[-1]
        return UserError((run and run.error) or "no job has trained it")

    def _repeat(self, is_over: Callable[[], bool]) -> None:
        while True:
            started = time.monotonic()
            self._look()
            if is_over():
                return
            took = time.monotonic() - started
            time.sleep(max(ASK_EVERY_S, took / MAX_SHARE))

    def _look(self) -> None:
        """Ask the engine and then the store, so that what is over has its runs in the store."""
        try:
            states = self._engine.states(self._open)
        except EngineAwayError as error:
            if not self._is_away:
                log.warning("%s. The jobs go on; it is asked again.", error)
            self._is_away = True
            return
        self._is_away = False
        self._read_store()
        for job_id in self._open:
            self._note(
                job_id, states.get(job_id, State(Phase.OVER, "the engine doesn't know it any more"))
            )
        if time.monotonic() - self._summarized > SUMMARY_EVERY_S:
            self._summarize()

    def _read_store(self) -> None:
        """Read how the runs are; of several for one cell, a finished one counts, then the last."""
        found: dict[str, RunResult] = {}
        try:
            send_records(self._store)
            children = self._store.children(self._sweep_id)
            self._store.note_answer()
        except STORE_ERRORS as error:
            self._store.say_away(error)
            return
        for run in children:
            key = run.tags.get("config_hash", "")
            if key not in found or found[key].status != "FINISHED":
                found[key] = run
        self._runs = found
        if self._num_ended_at_start is None:
            self._num_ended_at_start = self._num_ended(self._jobs)

    def _num_ended(self, ids: Sequence[str] | Mapping[str, Job]) -> int:
        keys = {key for job_id in ids for key in self._jobs[job_id].runs}
        return sum(key in self._runs and self._runs[key].status in ENDED for key in keys)

    def _note(self, job_id: str, now: State) -> None:
        """Note how a job is, and say so if that has changed."""
        before = self._states[job_id]
        if now.is_hopeless:
            self._give_up(job_id, now)
        elif now.phase is Phase.OVER:
            self._end(job_id, now)
        elif now != before:
            self._states[job_id] = now
            self._say(job_id, _in_words(before, now))

    def _end(self, job_id: str, now: State) -> None:
        """Note that a job is over: done, if all its runs have ended, else lost."""
        job = self._jobs[job_id]
        num_ended = self._num_ended([job_id])
        self._times_over[job_id] += 1
        if num_ended == len(job.runs):
            self._states[job_id] = now
            self._say(job_id, "done")
        elif self._times_over[job_id] >= LOST_AFTER:
            self._states[job_id] = now
            self._lose(
                job_id, f"{now.detail or 'it ended early'}; {num_ended} of its runs had ended"
            )

    def _give_up(self, job_id: str, now: State) -> None:
        """Cancel a job that waits for what will not come."""
        with suppress(EngineAwayError):
            self._engine.cancel([job_id])
        self._states[job_id] = State(Phase.OVER, now.detail)
        why = f"it can't be scheduled, {self._engine.name} says {now.detail}"
        self._lose(job_id, f"{why}. Ask with hydra.launcher.…= for what the cluster has")

    def _lose(self, job_id: str, why: str) -> None:
        said = f"job {job_id} was lost: {why}. What it said: {self._engine.log_of(job_id)}"
        self._lost[job_id] = UserError(said)
        log.error("%s", said)
        self._end_runs([job_id], "FAILED", f"job {job_id} was lost: {why}")

    def _end_runs(self, ids: Sequence[str], status: str, why: str) -> None:
        """Let no run of jobs that are over be RUNNING for ever."""
        runs = [self._runs.get(key) for job_id in ids for key in self._jobs[job_id].runs]
        left = [RunEnd(run.run_id, status, why) for run in runs if run and run.status == "RUNNING"]
        try:
            if left:
                self._store.end(left)
        except STORE_ERRORS as error:
            self._store.say_away(error)

    def _say(self, job_id: str, what: str) -> None:
        numbers = sorted(self._jobs[job_id].runs.values())
        who = "run" if len(numbers) == 1 else "runs"
        log.info("job %s, %s %s: %s", job_id, who, spans(numbers), what)

    def _summarize(self) -> None:
        """Say how far the jobs are together, and when they may be done."""
        self._summarized = time.monotonic()
        phases = Counter(
            "lost" if job_id in self._lost else state.phase.value
            for job_id, state in self._states.items()
        )
        phases["done"] = phases.pop(Phase.OVER.value, 0)
        said = ", ".join(f"{number} {what}" for what, number in sorted(phases.items()) if number)
        num_ended, total = (
            self._num_ended(self._jobs),
            sum(len(job.runs) for job in self._jobs.values()),
        )
        rate = (num_ended - (self._num_ended_at_start or 0)) / (self._summarized - self._started)
        left = total - num_ended
        forecast = (
            f", {rate:.3g} a second, about {_duration(left / rate)} left"
            if rate and self._open
            else ""
        )
        log.info("jobs: %s; %d of %d runs have ended%s", said, num_ended, total, forecast)


def _in_words(before: State, now: State) -> str:
    if now.phase is Phase.RUNNING:
        return f"runs on {now.detail}" if now.detail else "runs"
    again = " again" if before.phase is Phase.RUNNING else ""
    return f"waits{again}{f', {now.detail}' if now.detail else ''}"


def _duration(seconds: float) -> str:
    """Return a time as people say it.

    >>> _duration(40), _duration(400), _duration(8000)
    ('40 s', '7 min', '2.2 h')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
