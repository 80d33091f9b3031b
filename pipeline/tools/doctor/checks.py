"""What processes leave that were killed, and what disks do to files."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline.errors import UserError
from pipeline.files import CHECKSUMS, damaged_files, sha256_of
from pipeline.tools.doctor.site import Finding, Site, count, is_old
from pipeline.tracking import paths
from pipeline.tracking.record import RunEnd
from pipeline.tracking.spool import remove_unfinished, send_records
from pipeline.tracking.store import Store

__all__ = [
    "corrupt_checkpoints",
    "damaged_records",
    "damaged_results",
    "dead_runs",
    "stale_locks",
    "unfinished_records",
    "unsent_records",
]

RECORD_FOLDER = re.compile(r"[0-9a-f]{32}")

CHECKPOINT = re.compile(r"epoch-\d+-(?P<digest>[0-9a-f]{64})\.safetensors")


def damaged_records(site: Site) -> Iterator[Finding]:
    """Find the files of records that can't be read."""
    for path, batch in site.spooled.items():
        if batch is None:
            yield site.put_aside(path, "is damaged")


def unsent_records(site: Site) -> Iterator[Finding]:
    """Find the finished records that their store doesn't have yet."""
    addresses: Counter[str] = Counter()
    for batch in filter(None, site.spooled.values()):
        addresses[batch.uri] += len(batch.records)
    for uri, number in addresses.items():
        target = site.at(uri)
        what = f"{count(number, 'finished run')} not sent to {uri}"
        if target.has_store:
            yield Finding(what, "sent", partial(_send, target.store))
        else:
            yield Finding(f"{what}, which isn't there")


def _send(store: Store) -> None:
    """Send what the spool has for a store.

    Raises:
        UserError: the store didn't take all of it.
    """
    _, num_left = send_records(store)
    if num_left:
        raise UserError(f"{num_left} still in the spool")


def unfinished_records(site: Site) -> Iterator[Finding]:
    """Find the folders of runs whose process ended before it could write the record."""
    named = {record.id for record in site.records}
    for folder in sorted(paths.spool(site.root).glob("*")):
        is_ours = RECORD_FOLDER.fullmatch(folder.name) and not folder.is_symlink()
        if is_ours and folder.name not in named and _is_left(site, folder):
            what = f"{folder.relative_to(site.root)} is left of a run whose process died"
            yield Finding(what, "removed", partial(remove_unfinished, site.root, [folder.name]))


def _is_left(site: Site, folder: Path) -> bool:
    """Return whether a folder's process has ended; no run names it if it goes on or is offline."""
    run = site.store.run_of_record(folder.name) if site.has_store else None
    is_dead = site.is_dead(run) if run else None
    if is_dead is None:
        return site.is_quiet and is_old(folder)
    return is_dead


def dead_runs(site: Site) -> Iterator[Finding]:
    """Find the runs that are RUNNING in the store and whose process has ended."""
    for run in site.running:
        is_dead = site.is_dead(run)
        what = f"run {run.run_id} ({run.name}) is RUNNING"
        if is_dead:
            end = partial(site.store.end, [RunEnd(run.run_id, "KILLED", "its process died")])
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


def corrupt_checkpoints(site: Site) -> Iterator[Finding]:
    """Find the checkpoints whose checksum isn't that of their name, and unfinished ones."""
    for path in sorted(paths.checkpoints(site.root).glob("*/*")):
        if _is_corrupt(path):
            yield site.put_aside(path, "is corrupt (its checksum is another)")
        elif path.suffix == ".tmp" and (site.is_quiet or is_old(path)):
            yield site.put_aside(path, "was never finished")


def _is_corrupt(path: Path) -> bool:
    named = CHECKPOINT.fullmatch(path.name)
    if named is None:
        return False
    try:
        return sha256_of(path) != named["digest"]
    except FileNotFoundError:  # its process has just replaced it by a newer one
        return False


def damaged_results(site: Site) -> Iterator[Finding]:
    """Find the runs below the root whose files are damaged or missing, once they are all there."""
    under_way = {run.run_id for run in site.running}
    under_way |= {record.run_id for record in site.records if record.run_id}
    for sums in sorted(paths.mlruns(site.root).glob(f"*/*/artifacts/{CHECKSUMS}")):
        run_id = sums.parent.parent.name
        if run_id not in under_way and (names := damaged_files(sums.parent)):
            yield Finding(
                f"{sums.parent.relative_to(site.root)}: {', '.join(names)} is not what was written",
                f"can't be mended; delete run {run_id} and resume=last trains its cell anew",
            )
