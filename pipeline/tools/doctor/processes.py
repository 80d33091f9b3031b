"""What processes leave that were killed: runs that seem to go on, and lock files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline.tools.doctor.site import Finding, Site, count
from pipeline.tracking import paths

__all__ = ["dead_runs", "stale_locks"]


def dead_runs(site: Site) -> Iterator[Finding]:
    """Find the runs that are RUNNING in the store and whose process has ended."""
    for run in site.running:
        is_dead = site.is_dead(run)
        what = f"run {run.run_id} ({run.name}) is RUNNING"
        if is_dead:
            end = partial(site.store.end, run.run_id, "KILLED", "its process died")
            yield Finding(f"{what}, but its process died", "set to KILLED", end)
        if is_dead is None:
            host = run.tags.get("host", "an unknown host")
            yield Finding(f"{what} on {host}: can't tell from here", is_wrong=False)


def stale_locks(site: Site) -> Iterator[Finding]:
    """Find the lock files that nobody holds and no run names that may go on."""
    named = {
        name
        for run in site.running
        if not site.is_dead(run)
        for name in (run.tags.get("grid"), run.tags.get("lock"))
    }
    stale = [
        paths.lock(site.root, name)
        for name, is_held in site.locks.items()
        if not is_held and name not in named
    ]
    if stale:
        what = count(len(stale), "stale lock file")
        yield Finding(what, "removed", partial(_remove, stale), is_wrong=False)


def _remove(locks: Sequence[Path]) -> None:
    """Remove lock files, each while it is held, so that nobody else can take it meanwhile."""
    for path in locks:
        with suppress(Timeout), FileLock(path, timeout=0):
            path.unlink()
