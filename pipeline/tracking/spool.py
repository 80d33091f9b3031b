"""The spool: finished records that the store doesn't have yet.

A run has a folder there from its start. Its record is written into it when the run ends, and the
folder is removed once the store has everything.
"""

from __future__ import annotations

import logging
import shutil
import uuid
from pathlib import Path

from filelock import FileLock

from pipeline.errors import UserError
from pipeline.files import is_plain_name
from pipeline.secrets import without_password
from pipeline.tracking import paths
from pipeline.tracking.record import FILE_NAME, Record, read_record
from pipeline.tracking.store import STORE_ERRORS, Store, is_refusal, reason

__all__ = [
    "new_folder",
    "remove_unfinished",
    "send_records",
    "spooled_folders",
    "spooled_records",
]

log = logging.getLogger(__name__)


def new_folder(root: Path) -> str:
    """Make a folder for a new record and return its path.

    Raises:
        UserError: it can't be made.
    """
    folder = paths.spool(root) / uuid.uuid4().hex
    try:
        (folder / "artifacts").mkdir(parents=True)
    except OSError as error:
        raise UserError(
            f"root={root}: can't write {folder} ({error.strerror}). Make room or give yourself "
            "the right to write there, or choose another folder with root=…"
        ) from error
    return str(folder)


def spooled_folders(root: Path) -> list[Path]:
    """Return the folders of the finished records, the oldest first."""
    files = paths.spool(root).glob(f"*/{FILE_NAME}")
    return [path.parent for path in sorted(files, key=lambda path: path.stat().st_mtime)]


def spooled_records(root: Path) -> list[Record]:
    """Return the finished records, the oldest first; name the damaged ones and go on."""
    records: list[Record] = []
    for folder in spooled_folders(root):
        try:
            records.append(read_record(folder))
        except UserError as error:
            log.warning("%s", error)
        except FileNotFoundError:
            continue  # another process has just sent it
    return records


def send_records(store: Store, first: Path | None = None) -> tuple[int, int]:
    """Send the records that are for this store, until it is away; one process at a time.

    Args:
        store: where to.
        first: the folder of the record to begin with.

    Returns:
        How many the store has taken, and how many are left in the spool.
    """
    with _lock(store.root):
        uri = without_password(store.uri)
        records = [record for record in spooled_records(store.root) if record.uri == uri]
        records.sort(key=lambda record: Path(record.folder) != first)
        num_sent = 0
        for record in records:
            try:
                store.send(record)
            except STORE_ERRORS as error:
                log.warning(
                    "The tracking store didn't take the run (%s). Its record is kept in %s; the "
                    "next run, or `python -m pipeline.doctor --fix`, sends it again.",
                    reason(error),
                    record.folder,
                )
                if is_refusal(error):
                    continue
                break
            record.remove()
            num_sent += 1
    return num_sent, len(records) - num_sent


def remove_unfinished(root: Path, name: str) -> None:
    """Remove the folder of a run whose process died before it could write the record."""
    folder = paths.spool(root) / name
    with _lock(root):
        if is_plain_name(name) and not (folder / FILE_NAME).exists():
            shutil.rmtree(folder, ignore_errors=True)


def _lock(root: Path) -> FileLock:
    path = paths.spool(root).with_suffix(".lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path)
