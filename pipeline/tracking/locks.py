"""Which processes are alive: each holds locks for as long as it lives, however it ends.

The system lets go of a lock when its process is gone, also after a kill or a power cut. So a
run that is RUNNING in the store, but whose process holds no lock, is dead. That is certain on the
machine where the lock is held, containers included. Other machines that share the root may not see
the lock; for them a process touches its own lock file now and then.

That file also keeps a little room on the disk, which is given back when the disk is full, so that
it can still be said how runs ended.
"""

from __future__ import annotations

import atexit
import os
import socket
import tempfile
import threading
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline.errors import UserError
from pipeline.files import is_plain_name
from pipeline.tracking import paths

__all__ = [
    "JOB_TAG",
    "JOB_VARIABLE",
    "give_room_back",
    "hold",
    "is_alive",
    "is_held",
    "job_tags",
    "machine_tags",
    "process_lock",
]

JOB_TAG = "job"
"""The tag of a run that a cluster trains: its job, such as `slurm 12_3`."""

JOB_VARIABLE = "PIPELINE_JOB"
"""The environment variable by which a job knows what it is."""

PATIENCE_S = 0.2
"""Somebody who only asks whether a lock is held has it for microseconds."""

ROOM_BYTES = 4 * 2**20
"""For the status of some twenty runs, since half of the rest is given back each time."""

TOUCH_EVERY_S = 30

DEAD_AFTER_S = 5 * TOUCH_EVERY_S
"""After which a lock's file that nobody has touched is a dead process's."""

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

_held: dict[Path, FileLock] = {}


def hold(root: Path, name: str) -> bool:
    """Take a lock for the rest of this process's life; return whether it could be had.

    Raises:
        UserError: its file can't be written.
    """
    path = paths.lock(root, name)
    if path in _held:
        return True
    lock = FileLock(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=PATIENCE_S, poll_interval=PATIENCE_S / 20)
    except Timeout:
        return False
    except OSError as error:
        raise _unwritable(path, error) from error
    _held[path] = lock
    return True


def is_held(root: Path, name: str) -> bool:
    """Return whether a process that is alive, this one or another, holds a lock."""
    path = paths.lock(root, name)
    if path in _held:
        return True
    if not is_plain_name(name) or not path.exists():
        return False
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    return False


@cache
def machine_tags() -> dict[str, str]:
    """Return the tags by which a run's machine is known again: its name, and its kernel's start."""
    tags = {"host": socket.gethostname()}
    if BOOT_ID.exists():  # the same in every container of a machine
        tags["boot"] = BOOT_ID.read_text().strip()
    return tags


def job_tags() -> dict[str, str]:
    """Return the tag that names the cluster's job that this process is part of, if it is."""
    job = os.environ.get(JOB_VARIABLE)
    return {JOB_TAG: job} if job else {}


def is_alive(root: Path, tags: Mapping[str, str]) -> bool | None:
    """Return whether a run's process lives, None if nobody can tell from here.

    Args:
        root: the project's root.
        tags: of the run.
    """
    name = tags.get("lock", "")
    if is_held(root, name):
        return True
    here = {**machine_tags(), **job_tags()}  # a job that starts again has ended before
    if any(tags.get(key) == value for key, value in here.items()):
        return False
    age_s = _age_s(paths.lock(root, name)) if is_plain_name(name) else None
    return None if age_s is None else age_s < DEAD_AFTER_S


def _age_s(path: Path) -> float | None:
    """Return how long nobody has touched a lock's file, by the clock of the disk it lies on."""
    try:
        with tempfile.TemporaryFile(dir=path.parent) as probe:
            return os.fstat(probe.fileno()).st_mtime - path.stat().st_mtime
    except OSError:
        return None


@cache
def process_lock(root: Path) -> str:
    """Return the name of this process's own lock, which it holds from the first call on.

    Raises:
        UserError: its file can't be written.
    """
    name = uuid.uuid4().hex
    path = paths.lock(root, name)
    assert hold(root, name)
    try:
        path.write_bytes(bytes(ROOM_BYTES))
    except OSError as error:
        raise _unwritable(path, error) from error
    threading.Thread(target=_keep_touching, args=(path,), daemon=True).start()
    return name


def give_room_back(root: Path) -> None:
    """Free half of the room that this process still keeps on the disk of a root."""
    path = paths.lock(root, process_lock(root))
    os.truncate(path, path.stat().st_size // 2)


def _keep_touching(path: Path) -> None:
    while True:
        time.sleep(TOUCH_EVERY_S)
        with suppress(OSError):  # a disk that is away for a while
            os.utime(path)


def _unwritable(path: Path, error: OSError) -> UserError:
    return UserError(
        f"{path}: can't be written ({error.strerror}). Make room or give yourself the right to "
        "write there, or choose another folder with root=…"
    )


@atexit.register
def _let_go() -> None:
    """Remove the files of all locks that are held; whoever waits for one makes it anew."""
    for path, lock in _held.items():
        with suppress(OSError):
            path.unlink()
        lock.release()


os.register_at_fork(after_in_child=_held.clear)  # what is held stays the parent's
