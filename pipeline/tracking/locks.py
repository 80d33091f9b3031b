"""Which processes are alive: each holds locks for as long as it lives, however it ends.

The system lets go of a lock when its process is gone, also after a kill or a power cut. So a
run that is RUNNING in the store, but whose process holds no lock, is dead. That is certain on the
machine where the lock is held, containers included. Other machines that share the root may not see
the lock; for them a process touches its own lock file now and then. Other roots see neither; for
them a process says in the store that they share, now and then, that it lives: its heartbeat.

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
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from pipeline.errors import UserError
from pipeline.files import is_plain_name
from pipeline.tracking import paths
from pipeline.tracking.record import Record, RunFilter

if TYPE_CHECKING:
    from pipeline.tracking.store import Store

__all__ = [
    "DEAD_AFTER_S",
    "HEARTBEAT_TAG",
    "JOB_TAG",
    "JOB_VARIABLE",
    "Heartbeats",
    "alone",
    "give_room_back",
    "heartbeats_in",
    "hold",
    "is_alive",
    "is_held",
    "job_tags",
    "keep_beating",
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
"""After which a lock's file that nobody has touched is a dead process's, or its last heartbeat."""

TRY_AGAIN_AFTER_S = 2
"""For a store that was away: until then a process may seem dead that lives."""

HEARTBEAT_TAG = "heartbeat"
"""When a process last said that it lives, in seconds since 1970 by the store's clock; on one of the
runs that it works on, all of which have the same tag `lock`."""

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

_held: dict[Path, FileLock] = {}

_beating: set[str] = set()
"""The addresses of the stores in which this process says that it lives."""


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


class Heartbeats:
    """What processes said in a store of their being alive; each is asked for once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[str, float | None] = {}

    def age_s(self, name: str) -> float | None:
        """Return how long ago a process last said that it lives, None if it never did.

        Args:
            name: of the process's lock, a plain one.
        """
        if name not in self._known:
            wanted = RunFilter(tag="lock", value=name, other_tag=HEARTBEAT_TAG, with_deleted=True)
            said = [run.tags[HEARTBEAT_TAG] for run in self._store.find(wanted)]
            times = [int(text) for text in said if text.isdecimal()]
            self._known[name] = self._store.now_s() - max(times) if times else None
        return self._known[name]


def heartbeats_in(store: Store) -> Heartbeats | None:
    """Return what tells of other roots' processes; None for a root's own store, which has none."""
    return None if store.is_own else Heartbeats(store)


def is_alive(
    root: Path, tags: Mapping[str, str], heartbeats: Heartbeats | None = None
) -> bool | None:
    """Return whether a run's process lives, None if nobody can tell from here.

    Args:
        root: the project's root.
        tags: of the run.
        heartbeats: in the store that it is from; None if only this root's processes use that.
    """
    name = tags.get("lock", "")
    if is_held(root, name):
        return True
    if tags.get(JOB_TAG) in job_tags().values():  # a job that starts again has ended before
        return False
    is_of_root = heartbeats is None or (is_plain_name(name) and paths.lock(root, name).exists())
    if is_of_root and any(tags.get(key) == value for key, value in machine_tags().items()):
        return False
    if not is_plain_name(name):
        return None
    ages = [_age_s(paths.lock(root, name)), heartbeats.age_s(name) if heartbeats else None]
    known = [age for age in ages if age is not None]
    return min(known) < DEAD_AFTER_S if known else None


def _age_s(path: Path) -> float | None:
    """Return how long nobody has touched a lock's file, by the clock of the disk it lies on."""
    try:
        with tempfile.TemporaryFile(dir=path.parent) as probe:
            return os.fstat(probe.fileno()).st_mtime - path.stat().st_mtime
    except OSError:
        return None


@contextmanager
def alone(root: Path, name: str) -> Generator[None]:
    """Let one process at a time do what the block does; the others wait.

    Raises:
        UserError: the lock's file can't be written.
    """
    path = paths.lock(root, name)
    lock = FileLock(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        yield
    finally:
        path.unlink(missing_ok=True)  # whoever waits for it makes it anew
        lock.release()


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


def keep_beating(store: Store, record: Record) -> None:
    """Say now and then in a store that other roots may use that this process lives.

    It costs one tag each time, however many runs the process works on; nothing once that is so.

    Args:
        store: where a run of this process has just started.
        record: the run's.
    """
    is_needed = not store.is_own and store.uri not in _beating
    if is_needed and record.run_id is not None and "lock" in record.tags:
        _beating.add(store.uri)
        threading.Thread(target=_beat, args=(store, record.run_id), daemon=True).start()


def _beat(store: Store, run_id: str) -> None:
    while True:
        try:
            store.client.set_tag(run_id, HEARTBEAT_TAG, round(store.now_s()))
            time.sleep(TOUCH_EVERY_S)
        except Exception:  # whatever a store that is away raises
            time.sleep(TRY_AGAIN_AFTER_S)


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
os.register_at_fork(after_in_child=_beating.clear)
