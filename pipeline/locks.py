"""Which processes are alive: each holds locks for as long as it lives, however it ends.

The system lets go of a lock when its process is gone, also after a kill or a power cut. So a
run that is RUNNING in the store, but whose process holds no lock, is dead.
"""

from __future__ import annotations

import uuid
from functools import cache
from pathlib import Path

from filelock import FileLock, Timeout

__all__ = ["hold", "is_held", "process_lock"]

FOLDER = Path("mlruns") / "locks"
"""Below the project's root."""

_held: dict[Path, FileLock] = {}


def _path(root: Path, name: str) -> Path:
    folder = root / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name}.lock"


def hold(root: Path, name: str) -> bool:
    """Take a lock for the rest of this process's life; return whether it could be had."""
    path = _path(root, name)
    if path in _held:
        return True
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return False
    _held[path] = lock
    return True


def is_held(root: Path, name: str) -> bool:
    """Return whether a process that is alive, this one or another, holds a lock."""
    path = _path(root, name)
    if path in _held:
        return True
    if not path.exists():
        return False
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    return False


@cache
def process_lock(root: Path) -> str:
    """Return the name of this process's own lock, which it holds from the first call on."""
    name = uuid.uuid4().hex
    assert hold(root, name)
    return name
