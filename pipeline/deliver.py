"""`python -m pipeline.deliver`: bring in the runs that the tracking store hasn't taken yet."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline.choices import project_root
from pipeline.config import TrackingConfig
from pipeline.errors import UserError
from pipeline.record import pending_records, read_record
from pipeline.secrets import without_password
from pipeline.tracking import STORE_ERRORS, Store, open_store, reason

__all__ = ["deliver_folder", "deliver_pending", "main"]

log = logging.getLogger(__name__)


def deliver_folder(store: Store, folder: Path) -> bool:
    """Deliver the record in a folder and remove it; if the store doesn't take it, say so.

    Returns:
        Whether the folder is, or will be, dealt with: False if the record still waits.
    """
    try:
        with FileLock(folder / "lock", timeout=0):
            record = read_record(folder)
            store.deliver(record)
            record.remove()
    except Timeout:  # another process is at it
        return True
    except STORE_ERRORS as error:
        if not folder.exists():  # another process has done it
            return True
        log.warning(
            "The tracking store didn't take the run (%s). Its record is kept in %s; "
            "`python -m pipeline.deliver` brings it in.",
            reason(error),
            folder,
        )
        return False
    return True


def deliver_pending(store: Store) -> tuple[int, int]:
    """Deliver the records that wait for this store, until it fails.

    Returns:
        How many were delivered and how many still wait.
    """
    wanted = without_password(store.uri)
    delivered = 0
    folders = [path for path in pending_records(store.root) if read_record(path).uri == wanted]
    for folder in folders:
        if not deliver_folder(store, folder):
            break
        delivered += 1
    return delivered, len(folders) - delivered


def main() -> None:
    """Deliver every record that waits below the root; exit 1 if some still wait."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.deliver", description=__doc__)
    parser.add_argument("--root", type=Path, default=project_root(), help="where mlruns/ lies")
    parser.add_argument("--uri", help="the store, if its address needs a password")
    arguments = parser.parse_args()
    logging.basicConfig(format="%(message)s")
    root: Path = arguments.root.expanduser().absolute()
    try:
        waiting_for = {read_record(folder).uri for folder in pending_records(root)}
        uris: set[str] = {arguments.uri} if arguments.uri else waiting_for
        stores = [open_store(TrackingConfig(uri=uri), root) for uri in sorted(uris)]
    except UserError as error:
        sys.exit(f"error: {error}")
    counts = [deliver_pending(store) for store in stores]
    delivered, waiting = (sum(column) for column in zip((0, 0), *counts, strict=True))
    print(f"{delivered} delivered, {waiting} still waiting")
    sys.exit(1 if waiting else 0)


if __name__ == "__main__":
    main()
