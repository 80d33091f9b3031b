"""What the doctor looks at, a project's root and its store, and how it says what it found."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pipeline.cluster.at_work import jobs_at_work
from pipeline.config.schema import TrackingConfig
from pipeline.errors import UserError
from pipeline.secrets import without_password
from pipeline.tracking import paths
from pipeline.tracking.locks import Heartbeats, heartbeats_in, is_alive, is_held
from pipeline.tracking.record import Record, RunFilter, RunResult
from pipeline.tracking.spool import Batch, batch_files, read_batch
from pipeline.tracking.store import STORE_ERRORS, Store, open_store

__all__ = ["Finding", "Site", "count", "is_old"]

OLD_AFTER_S = 3600

SETTLED_AFTER_S = 1
"""Until then a lock file may belong to a process that is just about to take it."""


@dataclass(frozen=True)
class Finding:
    """Something that was found, in words for one line."""

    what: str
    remedy: str = "left alone"
    """What becomes of it, as a participle."""
    fix: Callable[[], object] | None = None
    """None if nothing can be done from here."""
    is_wrong: bool = True


@dataclass(frozen=True)
class Site:
    """A project's root and its store, as they were when they were looked at first."""

    root: Path
    store: Store

    @property
    def has_own_store(self) -> bool:
        """Say whether the store is the database in the root."""
        return self.store.database == paths.database(self.root)

    @property
    def has_store(self) -> bool:
        """Say whether anything was ever tracked in the store; a server is taken to be there."""
        file = self.store.database
        return file is None or (file.exists() and file.stat().st_size > 0)

    def at(self, uri: str) -> Site:
        """Return the same root with another store."""
        if uri == without_password(self.store.uri):
            return self
        return Site(self.root, open_store(TrackingConfig(uri=uri), self.root))

    @cached_property
    def spooled(self) -> dict[Path, Batch | None]:
        """What the spool has for the store, by file; None for a damaged one."""
        found: dict[Path, Batch | None] = {}
        for path in batch_files(self.root):
            try:
                found[path] = read_batch(path)
            except UserError:
                found[path] = None
            except FileNotFoundError:
                continue  # another process has just sent it
        return found

    @property
    def records(self) -> list[Record]:
        """The records in the spool."""
        return [record for batch in self.spooled.values() if batch for record in batch.records]

    @cached_property
    def running(self) -> list[RunResult]:
        """The runs that are RUNNING in the store, but for those whose end is in the spool.

        Raises:
            UserError: the store doesn't answer.
        """
        ended = {record.id for record in self.records}
        ended |= {record.run_id for record in self.records if record.run_id}
        try:
            runs = self.store.find(RunFilter(status="RUNNING")) if self.has_store else []
        except STORE_ERRORS as error:
            raise self.store.unavailable(error) from error
        return [run for run in runs if ended.isdisjoint({run.run_id, run.tags.get("record")})]

    @cached_property
    def locks(self) -> dict[str, bool]:
        """The names of the lock files, and whether a process holds, or may be taking, each."""
        settled = time.time() - SETTLED_AFTER_S
        return {
            path.stem: path.stat().st_mtime > settled or is_held(self.root, path.stem)
            for path in sorted(paths.locks(self.root).glob("*.lock"))
        }

    @cached_property
    def is_quiet(self) -> bool:
        """Say whether no process is working here, so that what no run names can't be in use."""
        return not any(self.locks.values()) and all(self.is_dead(run) for run in self.running)

    @cached_property
    def _heartbeats(self) -> Heartbeats | None:
        return heartbeats_in(self.store)

    def is_dead(self, run: RunResult) -> bool | None:
        """Return whether a run's process has ended, None if nobody can tell from here.

        Until a resumed sweep has come to a run, that run names its first process;
        so the locks that the sweep holds count too.
        """
        grids = {entry.run_id: entry.tags.get("grid") for entry in self.running}
        sweeps = (run.tags.get("grid"), grids.get(run.tags.get("mlflow.parentRunId", "")))
        if any(is_held(self.root, name) for name in sweeps if name):
            return False
        if run.tags.get("mlflow.parentRunId", run.run_id) in self._at_work:
            return False
        alive = is_alive(self.root, run.tags, self._heartbeats) if "lock" in run.tags else None
        return None if alive is None else not alive

    @cached_property
    def _at_work(self) -> set[str]:
        """The sweeps that jobs train; of a cluster that doesn't answer, all that it was given."""
        found: set[str] = set()
        for sweep_id in {run.tags.get("mlflow.parentRunId", run.run_id) for run in self.running}:
            try:
                runs = [
                    run for run in self.running if run.tags.get("mlflow.parentRunId") == sweep_id
                ]
                found |= {sweep_id} if jobs_at_work(self.root, sweep_id, runs) else set()
            except UserError:
                found.add(sweep_id)
        return found

    def put_aside(self, path: Path, why: str) -> Finding:
        """Return the finding that something below mlruns/ is damaged; its fix moves it away."""
        target = paths.damaged(self.root) / path.relative_to(paths.mlruns(self.root))

        def move() -> None:
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)

        place = target.parent.relative_to(self.root)
        return Finding(f"{path.relative_to(self.root)} {why}", f"moved to {place}", move)


def count(number: int, noun: str) -> str:
    """Return a number of things in words: "1 run", "2 runs"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def is_old(path: Path) -> bool:
    """Return whether nobody has touched a file for an hour."""
    return time.time() - path.stat().st_mtime > OLD_AFTER_S
