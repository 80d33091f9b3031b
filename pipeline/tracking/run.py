"""Runs while they go on: buffered in records, with an honest status at their end.

The records of runs that end together are sent in one go. A store that doesn't answer then costs
nothing: they stay in the spool and are sent later.
"""

from __future__ import annotations

import logging
import shutil
import time
import traceback
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from pipeline.errors import InterruptedRunError, UserError
from pipeline.files import write_checksums
from pipeline.tracking import paths
from pipeline.tracking.locks import give_room_back, keep_beating
from pipeline.tracking.record import Record, RunEnd, RunResult
from pipeline.tracking.spool import save_batch, send_records, spooled_batches
from pipeline.tracking.store import STORE_ERRORS, Store

__all__ = [
    "LiveMetrics",
    "TrackedRun",
    "close_runs",
    "closing",
    "renew_tags",
    "start_run",
    "start_runs",
]

log = logging.getLogger(__name__)

SEND_AFTER_S = 10.0
"""Metrics of runs that take longer are sent in between, so that one can watch them."""

MAX_SHARE = 0.1
"""The share of the time, at most, that goes into sending them."""

T = TypeVar("T")


class TrackedRun:
    """A run, or a sweep, while it goes on."""

    def __init__(self, store: Store, record: Record, artifacts: Path) -> None:
        self.store = store
        self.record = record
        self.artifacts = artifacts
        """The folder of the run's files: where the store keeps them, or until they are sent."""

    def close(self, error: BaseException | None) -> None:
        """End the run by itself; see `close_runs`."""
        close_runs([self], [error])

    def children(self) -> list[RunResult]:
        """Return the runs of this sweep, those in the spool too."""
        parent = self.record.known_run_id
        spooled = [
            record.result()
            for batch in spooled_batches(self.store.root).values()
            for record in batch.records
            if record.tags.get("mlflow.parentRunId") == parent
        ]
        try:
            stored = self.store.children(parent)
        except STORE_ERRORS as error:
            self.store.say_away(error)
            return spooled
        known = {result.run_id for result in spooled}
        return [result for result in stored if result.run_id not in known] + spooled


def start_run(store: Store, record: Record, *, offline_is_fine: bool) -> TrackedRun:
    """Start to track a run by itself; see `start_runs`."""
    (run,) = start_runs(store, [record], offline_is_fine=offline_is_fine)
    return run


def start_runs(
    store: Store, records: Sequence[Record], *, offline_is_fine: bool
) -> list[TrackedRun]:
    """Start to track runs, which are seen from now on; whoever starts them closes them.

    Args:
        store: theirs.
        records: of one experiment; those with a run id go on in that run.
        offline_is_fine: go on if the store doesn't answer; it gets the runs later.

    Raises:
        UserError: the store can't be used, or their folders can't be made.
    """

    def ask(act: Callable[[Sequence[Record]], T]) -> T | None:
        try:
            return act(records)
        except STORE_ERRORS as error:
            if not offline_is_fine:
                raise store.unavailable(error) from error
            store.say_away(error)
            return None

    places = ask(store.places)
    folders = [
        (places or {}).get(record.id) or paths.spooled_files(store.root, record.id)
        for record in records
    ]
    made = [folder for folder in folders if not folder.exists()]
    try:
        for folder in made:
            _make(folder, store.root)
        if places is not None:
            ask(store.begin)
            keep_beating(store, records[0])
    except BaseException:
        for folder in made:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    return [
        TrackedRun(store, record, folder) for record, folder in zip(records, folders, strict=True)
    ]


def renew_tags(runs: Sequence[TrackedRun]) -> bool:
    """Let the store have the tags of runs that go on as they are now; return whether it does.

    Args:
        runs: of one experiment.
    """
    store = runs[0].store
    known = [run.record for run in runs if run.record.run_id is not None]
    try:
        if known:
            store.begin(known)
    except STORE_ERRORS as error:
        store.say_away(error)
        return False
    return True


def _make(folder: Path, root: Path) -> None:
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise UserError(
            f"root={root}: can't write {folder} ({error.strerror}). Make room or give yourself "
            "the right to write there, or choose another folder with root=…"
        ) from error


def close_runs(runs: Sequence[TrackedRun], errors: Sequence[BaseException | None]) -> None:
    """End runs of one store with an honest status each, and send their records together.

    Args:
        runs: that end.
        errors: what ended each: None for FINISHED, an interruption for KILLED, another error for
            FAILED.

    Raises:
        UserError: one went well so far, but the records can't be saved; such runs are FAILED.
    """
    store, records = runs[0].store, [run.record for run in runs]
    for run, error in zip(runs, errors, strict=True):
        if error is None:
            run.record.finish("FINISHED")
        else:
            _note(run, error)
    try:
        for run in runs:
            write_checksums(run.artifacts)
        batch = save_batch(store, records)
    except UserError as failure:
        went_well = [run for run, error in zip(runs, errors, strict=True) if error is None]
        for run in went_well:
            _note(run, failure)
        _close_without_room(store, records)
        if went_well:
            raise
    else:
        send_records(store, own=(batch, records))


def _note(run: TrackedRun, error: BaseException) -> None:
    """Note what ended a run: its status, a tag and the traceback in a file."""
    killed = isinstance(error, KeyboardInterrupt | SystemExit | InterruptedRunError)
    run.record.finish("KILLED" if killed else "FAILED")
    run.record.tags["error"] = "interrupted" if killed else f"{error}"[:5000]
    text = "".join(traceback.format_exception(error))
    with suppress(OSError):  # a full disk must not hide what came before
        (run.artifacts / "traceback.txt").write_text(text)


def _close_without_room(store: Store, records: Sequence[Record]) -> None:
    """Say how runs ended when the disk is full; the rest is sent once it isn't."""
    ends = [
        RunEnd(record.run_id, record.status, record.tags["error"])
        for record in records
        if record.run_id is not None
    ]
    with suppress(OSError):
        give_room_back(store.root)
    with suppress(*STORE_ERRORS):
        store.end(ends)
    try:
        save_batch(store, records)
    except UserError as failure:
        log.error("%s", failure)  # noqa: TRY400  (it says all)


class LiveMetrics:
    """Sends what runs that train together have logged so far."""

    def __init__(self, runs: Sequence[TrackedRun]) -> None:
        self._store = runs[0].store
        self._records = [run.record for run in runs]
        self._due = time.monotonic() + SEND_AFTER_S

    def send_if_due(self) -> None:
        """Send what has gathered, if enough time has passed; train on if the store is away."""
        started = time.monotonic()
        if started < self._due:
            return
        try:
            self._store.send_metrics(self._records)
            self._store.note_answer()
        except STORE_ERRORS as error:
            self._store.say_away(error)
        now = time.monotonic()
        self._due = now + max(SEND_AFTER_S, (now - started) / MAX_SHARE)


@contextmanager
def closing(run: TrackedRun) -> Generator[TrackedRun]:
    """Close a run at the end of the block, with the error that ended it if there was one."""
    try:
        yield run
    except BaseException as error:
        run.close(error)
        raise
    run.close(None)
