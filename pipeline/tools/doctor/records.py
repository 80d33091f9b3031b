"""The outbox: finished records that wait, damaged ones, and folders of runs that never ended."""

from __future__ import annotations

import json
import re
import shutil
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from filelock import FileLock

from pipeline.errors import UserError
from pipeline.secrets import without_password
from pipeline.tools.doctor.site import Finding, Site, count, is_old, put_aside
from pipeline.tracking.record import OUTBOX, Record
from pipeline.tracking.spool import deliver_records
from pipeline.tracking.store import Store

__all__ = ["damaged_records", "stale_folders", "undelivered_records"]

FOLDER_NAME = re.compile(r"[0-9a-f]{32}")


def damaged_records(site: Site) -> Iterator[Finding]:
    """Find the records that can't be read."""
    for folder, record in site.records.items():
        if record is None:
            yield put_aside(site.root, folder, "has a damaged record.json")


def undelivered_records(site: Site) -> Iterator[Finding]:
    """Find the finished records that their store doesn't have yet."""
    waiting: dict[str, list[Record]] = defaultdict(list)
    for record in filter(None, site.records.values()):
        waiting[site.own_uri if _was_for_the_root(record) else record.uri].append(record)
    for uri, records in waiting.items():
        target = site.at(uri)
        what = f"{count(len(records), 'finished run')} not delivered to {uri}"
        if target.has_store:
            deliver = partial(_deliver, target.store, records)
            yield Finding(what, "delivered", deliver)
        else:
            yield Finding(f"{what}, which isn't there")


def _was_for_the_root(record: Record) -> bool:
    """Whether a record is for the database of the root in which it was written."""
    written = json.loads((Path(record.folder) / "record.json").read_text())["folder"]
    old_root = Path(written).parent.parent.parent
    return record.uri == f"sqlite:///{old_root / 'mlflow.db'}"


def _deliver(store: Store, records: Sequence[Record]) -> None:
    """Deliver what waits for a store, also what knows it by the place where it was before.

    Raises:
        UserError: some still wait.
    """
    uri = without_password(store.uri)
    for record in records:
        if record.uri != uri:
            record.uri = uri
            record.save()
    _, num_waiting = deliver_records(store)
    if num_waiting:
        raise UserError(f"{num_waiting} still waiting")


def stale_folders(site: Site) -> Iterator[Finding]:
    """Find the folders of records whose process ended before it could finish them."""
    for folder in sorted((site.root / OUTBOX).glob("*")):
        is_ours = FOLDER_NAME.fullmatch(folder.name) and not folder.is_symlink()
        if is_ours and not _is_finished(folder) and _is_stale(site, folder):
            what = f"{folder.relative_to(site.root)} is left of a run whose process died"
            yield Finding(what, "removed", partial(_remove, site.root, folder))


def _is_finished(folder: Path) -> bool:
    return (folder / "record.json").exists()


def _is_stale(site: Site, folder: Path) -> bool:
    """Whether a folder's process has ended; no run names it if it was taken up or offline."""
    run = site.store.run_of_folder(folder.name) if site.has_store else None
    is_dead = site.is_dead(run) if run else None
    if is_dead is None:
        return site.is_quiet and is_old(folder)
    return is_dead


def _remove(root: Path, folder: Path) -> None:
    with FileLock(root / OUTBOX.with_suffix(".lock")):  # as whoever delivers
        if not _is_finished(folder):
            shutil.rmtree(folder)
