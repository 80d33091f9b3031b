"""The SQLite file of a store: where it lies, and how it is made whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from pipeline.tracking import paths

__all__ = ["lock", "make_whole", "path_of"]

TIMEOUT_S = 120


def path_of(uri: str) -> Path | None:
    """Return the file of a store's address, None of a server's or another database's."""
    path = uri.removeprefix("sqlite:///")
    return Path(path).absolute() if path != uri else None


def lock(folder: Path) -> FileLock:
    """Return the lock that whoever makes a database's tables has to hold."""
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(f"{paths.database(folder)}.lock", timeout=TIMEOUT_S)


def make_whole(path: Path, make_tables: Callable[[str], object]) -> None:
    """Make a new SQLite file beside its place and then put it there.

    MLflow can't mend a file whose making was interrupted.

    Args:
        path: of the file; if it is there, nothing is done.
        make_tables: makes them in the database of the address that it is given.
    """
    if path.exists() and path.stat().st_size:
        return
    unfinished = path.with_name(f"{path.name}.new")
    unfinished.unlink(missing_ok=True)
    make_tables(f"sqlite:///{unfinished}")
    unfinished.replace(path)
