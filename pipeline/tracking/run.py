"""A run while it goes on: buffered in a record, with an honest status at its end.

The record is sent in one go when the run ends. A store that doesn't answer then costs nothing:
the record stays in the spool and is sent later.
"""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from pipeline.errors import UserError
from pipeline.files import write_checksums
from pipeline.secrets import without_password
from pipeline.tracking.locks import give_room_back
from pipeline.tracking.record import DatasetRecord, Record, RunResult
from pipeline.tracking.spool import new_folder, send_records, spooled_records
from pipeline.tracking.store import STORE_ERRORS, Store, reason

__all__ = ["LiveMetrics", "TrackedRun", "closing", "start_run"]

log = logging.getLogger(__name__)

SEND_AFTER_S = 10.0
"""Metrics of runs that take longer are sent in between, so that one can watch them."""

MAX_SHARE = 0.1
"""The share of the time, at most, that goes into sending them."""


class TrackedRun:
    """A run, or a sweep, while it goes on."""

    def __init__(self, store: Store, record: Record) -> None:
        self.store = store
        self.record = record

    @property
    def artifacts(self) -> Path:
        """The folder for files that shall become artifacts."""
        return self.record.artifacts

    def begin(self, *, offline_is_fine: bool) -> None:
        """Make the run in the store, or let it go on, so that it is seen while it trains.

        Args:
            offline_is_fine: go on if the store doesn't answer; it gets the run later.
        """
        try:
            if self.record.run_id is not None:
                self.store.reopen(self.record)
            else:
                self.record.run_id = self.store.create_run(self.record)
        except STORE_ERRORS as error:
            if not offline_is_fine:
                raise self.store.unavailable(error) from error
            log.warning("The tracking store doesn't answer (%s); training on.", reason(error))

    def go_on(self, epochs: Mapping[int, dict[str, float]]) -> None:
        """Take over the metrics that were logged before the run was interrupted.

        What the store has of them isn't sent twice: numbers and their order are the same as
        before, so it has the first so many of them.

        Args:
            epochs: metrics so far by epoch, the first epoch first.
        """
        for number, metrics in epochs.items():
            self.record.log(number, metrics)
        if epochs and self.record.run_id is not None:
            self.record.num_metrics_sent = self.store.num_metrics(self.record.run_id)

    def close(self, error: BaseException | None) -> None:
        """End the run with an honest status and send its record.

        Args:
            error: None for FINISHED, an interruption for KILLED, another error for FAILED.

        Raises:
            UserError: all went well so far, but the record can't be saved; the run is FAILED.
        """
        if error is None:
            self.record.finish("FINISHED")
        else:
            self._note(error)
        try:
            write_checksums(self.artifacts)
            self.record.save()
        except UserError as failure:
            if error is None:
                self._note(failure)
            self._close_without_room()
            if error is None:
                raise
            return
        send_records(self.store, first=Path(self.record.folder))

    def _note(self, error: BaseException) -> None:
        """Note what ended the run: its status, a tag and the traceback as an artifact."""
        killed = isinstance(error, KeyboardInterrupt | SystemExit)
        self.record.finish("KILLED" if killed else "FAILED")
        self.record.tags["error"] = "interrupted" if killed else f"{error}"[:5000]
        text = "".join(traceback.format_exception(error))
        with suppress(OSError):  # a full disk must not hide what came before
            (self.artifacts / "traceback.txt").write_text(text)

    def children(self) -> list[RunResult]:
        """Return the runs of this sweep, those in the spool too."""
        parent = self.record.run_id
        assert parent is not None
        records = spooled_records(self.store.root)
        spooled = [r.result() for r in records if r.tags.get("mlflow.parentRunId") == parent]
        try:
            stored = self.store.children(parent)
        except STORE_ERRORS as error:
            log.warning("The tracking store doesn't answer (%s).", reason(error))
            return spooled
        known = {result.run_id for result in spooled}
        return [result for result in stored if result.run_id not in known] + spooled

    def _close_without_room(self) -> None:
        """Say how a run ended when the disk is full; the rest is sent once it isn't."""
        with suppress(OSError):
            give_room_back(self.store.root)
        with suppress(*STORE_ERRORS):
            if self.record.run_id is not None:
                self.store.end(self.record.run_id, self.record.status, self.record.tags["error"])
        try:
            self.record.save()
        except UserError as failure:
            log.error("%s", failure)  # noqa: TRY400  (it says all)


class LiveMetrics:
    """Sends what runs that train together have logged so far."""

    def __init__(self, runs: Sequence[TrackedRun]) -> None:
        self._runs = runs
        self._due = time.monotonic() + SEND_AFTER_S

    def send_if_due(self) -> None:
        """Send what has gathered, if enough time has passed; train on if the store is away."""
        started = time.monotonic()
        if started < self._due:
            return
        try:
            for run in self._runs:
                if run.record.run_id is not None:
                    run.store.send_metrics(run.record)
        except STORE_ERRORS as error:
            log.warning("The tracking store doesn't answer (%s); training on.", reason(error))
        now = time.monotonic()
        self._due = now + max(SEND_AFTER_S, (now - started) / MAX_SHARE)


def start_run(
    store: Store,
    *,
    experiment_name: str,
    name: str,
    tags: dict[str, str],
    offline_is_fine: bool,
    params: dict[str, str] | None = None,
    dataset: DatasetRecord | None = None,
    run_id: str | None = None,
) -> TrackedRun:
    """Start to track a run, or go on with the one of `run_id`; whoever starts it closes it."""
    record = Record(
        folder=new_folder(store.root),
        uri=without_password(store.uri),
        experiment_name=experiment_name,
        name=name,
        tags=tags,
        params=params or {},
        dataset=dataset,
        run_id=run_id,
    )
    run = TrackedRun(store, record)
    try:
        run.begin(offline_is_fine=offline_is_fine)
    except BaseException:
        record.remove()
        raise
    return run


@contextmanager
def closing(run: TrackedRun) -> Generator[TrackedRun]:
    """Close a run at the end of the block, with the error that ended it if there was one."""
    try:
        yield run
    except BaseException as error:
        run.close(error)
        raise
    run.close(None)
