"""`python -m pipeline.deliver`: bring in the runs that the tracking store hasn't taken yet."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from pipeline.choices import project_root

__all__ = ["main"]


def main() -> None:
    """Deliver every record that waits below the root; exit 1 if some still wait."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.deliver", description=__doc__)
    parser.add_argument("--root", type=Path, default=project_root(), help="where mlruns/ lies")
    parser.add_argument("--uri", help="the store, if its address needs a password")
    arguments = parser.parse_args()
    logging.basicConfig(format="%(message)s")
    root: Path = arguments.root.expanduser().absolute()

    from pipeline.config import TrackingConfig
    from pipeline.record import pending_records, read_record
    from pipeline.tracking import deliver_pending, open_store

    waiting_for = {read_record(folder).uri for folder in pending_records(root)}
    uris: set[str] = {arguments.uri} if arguments.uri else waiting_for
    delivered = waiting = 0
    for uri in sorted(uris):
        counts = deliver_pending(open_store(TrackingConfig(uri=uri), root))
        delivered += counts[0]
        waiting += counts[1]
    print(f"{delivered} delivered, {waiting} still waiting")
    sys.exit(1 if waiting else 0)


if __name__ == "__main__":
    main()
