"""The spool: records of ended runs that the store doesn't have yet.

The records of runs that end together are one file, written before they are sent and removed once
the store has them all. Files that a run can't write where the store keeps them wait in a folder of
the run's own.
"""

from __future__ import annotations

import logging
import shutil
import time
import uuid
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from filelock import FileLock
from pydantic import ConfigDict, TypeAdapter, ValidationError

from pipeline.errors import UserError
from pipeline.files import is_plain_name, write_whole
from pipeline.secrets import without_password
from pipeline.tracking import paths
from pipeline.tracking.record import Record
from pipeline.tracking.store import STORE_ERRORS, Store, is_refusal, reason

__all__ = [
    "Batch",
    "batch_files",
    "left_in_spool",
    "read_batch",
    "remove_unfinished",
    "save_batch",
    "send_records",
    "spooled_batches",
]

log = logging.getLogger(__name__)


@dataclass
class Batch:
    """The records of runs that ended together, in a file of the spool."""

    uri: str
    """The address of the store that they are for, without a password."""
    root: str
    """Where the file was written; its folder may have been moved since."""
    records: list[Record]

    __pydantic_config__ = ConfigDict(ser_json_inf_nan="constants")


@cache
def _json() -> TypeAdapter[Batch]:
    return TypeAdapter(Batch)


def save_batch(store: Store, records: Sequence[Record]) -> Path:
    """Write records into a new file of the spool, whole or not at all, and return its path.

    Raises:
        UserError: it can't be written.
    """
    path = paths.spool(store.root) / f"{uuid.uuid4().hex}.json"
    batch = Batch(without_password(store.uri), str(store.root), list(records))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _lock(store.root):
            write_whole(path, _json().dump_json(batch))
    except OSError as error:
        raise UserError(
            f"{path}: can't be written ({error.strerror}), so what ended isn't tracked. "
            "Make room there and run again."
        ) from error
    return path


def batch_files(root: Path) -> list[Path]:
    """Return the files of the spool, the oldest first."""
    return sorted(paths.spool(root).glob("*.json"), key=_changed_at)


def _changed_at(path: Path) -> float:
    """Return when a file was changed; now, if another process has just removed it."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return time.time()


def read_batch(path: Path) -> Batch:
    """Return what a file of the spool holds; it may have been moved with its root since.

    Raises:
        UserError: the file is damaged.
        FileNotFoundError: it is gone: another process has just sent it.
    """
    try:
        batch = _json().validate_json(path.read_bytes(), strict=True)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(key) for key in problem["loc"]) or path.name
        raise UserError(
            f"{path}: the records are damaged ({where}: {problem['msg']}). Move it away."
        ) from error
    if not all(is_plain_name(record.id) for record in batch.records):
        raise UserError(f"{path}: the records are damaged (an id is no name). Move it away.")
    if batch.uri == paths.database_uri(Path(batch.root)):
        batch.uri = paths.database_uri(paths.root_of_batch(path))
    return batch


def spooled_batches(root: Path) -> dict[Path, Batch]:
    """Return what is in the spool by file, the oldest first; name the damaged ones and go on."""
    return _read(batch_files(root))


def _read(files: Sequence[Path]) -> dict[Path, Batch]:
    batches: dict[Path, Batch] = {}
    for path in files:
        try:
            batches[path] = read_batch(path)
        except UserError as error:
            log.warning("%s", error)
        except FileNotFoundError:
            continue  # another process has just sent it
    return batches


def send_records(store: Store, own: tuple[Path, list[Record]] | None = None) -> tuple[int, int]:
    """Send the records that are for this store, until it is away; one process at a time.

    Args:
        store: where to.
        own: a file that this process has just written, and its records; they go first.

    Returns:
        How many the store has taken, and how many are left in the spool.
    """
    with _lock(store.root):
        _remove_unfinished_files(store.root)
        batches = _for_store(store, own)
        num_sent = 0
        for path, records in batches.items():
            try:
                refused = store.send(records)
            except STORE_ERRORS as error:
                _warn(store, path, len(records), error)
                break
            store.note_answer()
            if refused:
                _warn(store, path, len(refused), refused[0][1])
            _keep(path, [record for record, _ in refused], store, records)
            num_sent += len(records) - len(refused)
    return num_sent, sum(map(len, batches.values())) - num_sent


def left_in_spool(store: Store) -> str | None:
    """Return a line that says how much a store doesn't have yet, and the command that sends it.

    None if it has all.
    """
    records = [record for batch in _for_store(store, None).values() for record in batch]
    if not records:
        return None
    trained = sum("config_hash" in record.tags for record in records)
    runs = {0: "The sweep itself is", 1: "1 run is"}.get(trained, f"{trained} runs are")
    command = store.command("doctor", "--fix")
    return f"{runs} in the spool: the tracking store doesn't have all of it yet. To send: {command}"


def _for_store(store: Store, own: tuple[Path, list[Record]] | None) -> dict[Path, list[Record]]:
    """Return the records that are for a store by their files, a process's own ones first."""
    uri = without_password(store.uri)
    files = batch_files(store.root)
    mine = dict([own]) if own and own[0] in files else {}
    others = _read([path for path in files if path not in mine])
    return mine | {path: batch.records for path, batch in others.items() if batch.uri == uri}


def _warn(store: Store, path: Path, number: int, error: BaseException) -> None:
    if store.is_server and not is_refusal(error):
        store.say_away(error)
        return
    log.warning(
        "The tracking store didn't take %s (%s). What is known of it is kept in %s; the next run, "
        "or `python -m pipeline.doctor --fix`, sends it again.",
        "the run" if number == 1 else f"{number} runs",
        reason(error),
        path,
    )


def _keep(path: Path, left: list[Record], store: Store, records: Sequence[Record]) -> None:
    """Let a file hold what is left of its records, and remove the folders of the others."""
    kept = {record.id for record in left}
    for record in records:
        if record.id not in kept:
            shutil.rmtree(paths.spooled_files(store.root, record.id), ignore_errors=True)
    if not left:
        path.unlink()
    elif len(left) < len(records):
        with suppress(OSError):  # what the store has is sent again then, and changes nothing
            write_whole(path, _json().dump_json(replace(read_batch(path), records=left)))


def _remove_unfinished_files(root: Path) -> None:
    """Remove what a process left that died while it wrote; others write with the lock only."""
    for path in paths.spool(root).glob("*.tmp"):
        path.unlink()


def remove_unfinished(root: Path, names: Collection[str]) -> None:
    """Remove the folders of runs whose process died before it could write their records."""
    with _lock(root):
        records = [record for batch in spooled_batches(root).values() for record in batch.records]
        for name in set(names) - {record.id for record in records}:
            if is_plain_name(name):
                shutil.rmtree(paths.spooled_files(root, name), ignore_errors=True)


def _lock(root: Path) -> FileLock:
    path = paths.spool(root).with_suffix(".lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path)
