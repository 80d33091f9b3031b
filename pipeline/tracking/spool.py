"""Bring in the runs that the tracking store hasn't taken yet."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from filelock import FileLock

from pipeline.config.options import project_root
from pipeline.config.schema import TrackingConfig
from pipeline.errors import UserError
from pipeline.secrets import without_password
from pipeline.tracking.record import OUTBOX, Record, pending_records, read_record
from pipeline.tracking.store import STORE_ERRORS, Store, is_refusal, open_store, reason

__all__ = ["deliver_records", "main", "readable_records"]

log = logging.getLogger(__name__)


def deliver_records(store: Store, first: Path | None = None) -> tuple[int, int]:
    """Deliver the records that wait for this store, until it is away; one process at a time.

    Args:
        store: where to.
        first: the folder of the record to begin with.

    Returns:
        How many were delivered and how many still wait.
    """
    lock = store.root / OUTBOX.with_suffix(".lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock):
        waiting = _waiting_records(store)
        waiting.sort(key=lambda record: Path(record.folder) != first)
        delivered = 0
        for record in waiting:
            try:
                store.deliver(record)
            except STORE_ERRORS as error:
                log.warning(
                    "The tracking store didn't take the run (%s). Its record is kept in %s; "
                    "`python -m pipeline.tracking.spool` brings it in.",
                    reason(error),
                    record.folder,
                )
                if is_refusal(error):
                    continue
                break
            record.remove()
            delivered += 1
    return delivered, len(waiting) - delivered


def _waiting_records(store: Store) -> list[Record]:
    wanted = without_password(store.uri)
    return [record for record in readable_records(store.root) if record.uri == wanted]


def readable_records(root: Path) -> list[Record]:
    """Return the records that wait, oldest first; name the damaged ones and go on."""
    records: list[Record] = []
    for folder in pending_records(root):
        try:
            records.append(read_record(folder))
        except UserError as error:
            log.warning("%s", error)
        except FileNotFoundError:
            continue  # another process has just delivered it
    return records


def main() -> None:
    """Deliver every record that waits below the root; exit 1 if some still wait."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.tracking.spool", description=__doc__)
    parser.add_argument("--root", type=Path, default=project_root(), help="where mlruns/ lies")
    parser.add_argument("--uri", help="the store, if its address needs a password")
    arguments = parser.parse_args()
    logging.basicConfig(format="%(message)s")
    root: Path = arguments.root.expanduser().absolute()
    waiting_for = {record.uri for record in readable_records(root)}
    uris: set[str] = {arguments.uri} if arguments.uri else waiting_for
    try:
        stores = [open_store(TrackingConfig(uri=uri), root) for uri in sorted(uris)]
        counts = [deliver_records(store) for store in stores]
    except UserError as error:
        sys.exit(f"error: {error}")
    delivered, waiting = (sum(column) for column in zip((0, 0), *counts, strict=True))
    print(f"{delivered} delivered, {waiting} still waiting")
    sys.exit(1 if waiting else 0)


if __name__ == "__main__":
    main()
