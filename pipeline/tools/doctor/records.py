"""The spool: records that the store doesn't have yet, damaged ones, and what dead runs left."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from pipeline.errors import UserError
from pipeline.tools.doctor.site import Finding, Site, count, is_old
from pipeline.tracking import paths
from pipeline.tracking.record import FILE_NAME, Record
from pipeline.tracking.spool import remove_unfinished, send_records
from pipeline.tracking.store import Store

__all__ = ["damaged_records", "unfinished_records", "unsent_records"]

FOLDER_NAME = re.compile(r"[0-9a-f]{32}")


def damaged_records(site: Site) -> Iterator[Finding]:
    """Find the records that can't be read."""
    for folder, record in site.records.items():
        if record is None:
            yield site.put_aside(folder, f"has a damaged {FILE_NAME}")


def unsent_records(site: Site) -> Iterator[Finding]:
    """Find the finished records that their store doesn't have yet."""
    records_of: dict[str, list[Record]] = defaultdict(list)
    for record in filter(None, site.records.values()):
        records_of[record.uri].append(record)
    for uri, records in records_of.items():
        target = site.at(uri)
        what = f"{count(len(records), 'finished run')} not sent to {uri}"
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
    for folder in sorted(paths.spool(site.root).glob("*")):
        is_ours = FOLDER_NAME.fullmatch(folder.name) and not folder.is_symlink()
        if is_ours and not (folder / FILE_NAME).exists() and _is_left(site, folder):
            what = f"{folder.relative_to(site.root)} is left of a run whose process died"
            yield Finding(what, "removed", partial(remove_unfinished, site.root, folder.name))


def _is_left(site: Site, folder: Path) -> bool:
    """Return whether a folder's process has ended; no run names it if it goes on or is offline."""
    run = site.store.run_of_folder(folder.name) if site.has_store else None
    is_dead = site.is_dead(run) if run else None
    if is_dead is None:
        return site.is_quiet and is_old(folder)
    return is_dead
