"""The command: look for everything, say it line by line, and mend it if that is asked for."""

from __future__ import annotations

import logging
import sqlite3
import sys
import tempfile
from pathlib import Path

from pipeline.config.arguments import make_parser, parse
from pipeline.config.schema import TrackingConfig
from pipeline.errors import UserError
from pipeline.tools.doctor import checks
from pipeline.tools.doctor.moved import moved_artifacts
from pipeline.tools.doctor.site import Finding, Site
from pipeline.tracking import paths
from pipeline.tracking.store import STORE_ERRORS, open_store, reason

__all__ = ["main", "open_site"]

CHECKS = (
    moved_artifacts,  # first, so that what is sent goes where artifacts are now
    checks.damaged_records,
    checks.unsent_records,
    checks.dead_runs,
    checks.unfinished_records,
    checks.corrupt_checkpoints,
    checks.damaged_results,
    checks.stale_locks,
)
"""In the order in which things are mended."""

DESCRIPTION = """Find what crashes and moves leave behind; with --fix, mend it.
What a living process uses is never touched. Exit code 1 if something is wrong and wasn't mended;
lock files of processes that have ended, and runs of other machines, are listed but not wrong."""


def main() -> None:
    """Say what is wrong below the root, or mend it; exit 1 if something stays wrong."""
    parser = make_parser("doctor", DESCRIPTION)
    parser.add_argument("--fix", action="store_true", help="do what would be done")
    arguments, place = parse(parser)
    logging.basicConfig(format="%(message)s")
    root = place.root
    try:
        site = open_site(root, place.tracking.uri)
        findings = [finding for check in CHECKS for finding in check(site)]
        still_wrong = [it for it in findings if not _handle(it, fix=arguments.fix) and it.is_wrong]
    except UserError as error:
        sys.exit(f"error: {error}")
    except sqlite3.Error as error:
        sys.exit(f"error: {paths.database(root)}: {error}")
    except STORE_ERRORS as error:
        sys.exit(f"error: {reason(error)}")
    if not any(finding.is_wrong or finding.fix for finding in findings):
        print("nothing to do")
    sys.exit(1 if still_wrong else 0)


def open_site(root: Path, uri: str | None) -> Site:
    """Return what is looked at.

    Args:
        root: the project's root.
        uri: another store than the root's own.

    Raises:
        UserError: the root can't be written to, or there is no such store.
    """
    try:
        with tempfile.TemporaryFile(dir=root):
            pass
    except OSError as error:
        raise UserError(f"root={root}: can't write there ({error.strerror})") from error
    site = Site(root, open_store(TrackingConfig(uri=uri), root))
    if uri is not None and not site.has_store:
        raise UserError(f"tracking.uri={uri}: there is no such database")
    return site


def _handle(finding: Finding, *, fix: bool) -> bool:
    """Print a finding, mended if that is asked for; return whether it was."""
    if finding.fix is None:
        print(f"{finding.what}: {finding.remedy}" if finding.is_wrong else finding.what)
        return False
    if not fix:
        print(f"{finding.what} (with --fix: {finding.remedy})")
        return False
    try:
        finding.fix()
    except UserError as error:
        print(f"{finding.what}: not {finding.remedy} ({error})")
        return False
    print(f"{finding.what}: {finding.remedy}")
    return True


if __name__ == "__main__":
    main()
