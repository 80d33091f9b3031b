"""Whether the process of a run lives, as far as can be told from here.

A lock says so for certain on the machine where it is held, containers included. Other machines
that share the root may not see the lock; there the age of its file tells, since a process that
lives touches it.
"""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from pipeline.files import is_plain_name
from pipeline.tracking import paths
from pipeline.tracking.locks import TOUCH_EVERY_S, is_held

__all__ = ["DEAD_AFTER_S", "is_alive", "machine_tags"]

DEAD_AFTER_S = 5 * TOUCH_EVERY_S
"""After which a lock's file that nobody has touched is a dead process's."""

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@cache
def machine_tags() -> dict[str, str]:
    """Return the tags by which a run's machine is known again: its name, and its kernel's start."""
    tags = {"host": socket.gethostname()}
    if BOOT_ID.exists():  # the same in every container of a machine
        tags["boot"] = BOOT_ID.read_text().strip()
    return tags


def is_alive(root: Path, tags: Mapping[str, str]) -> bool | None:
    """Return whether a run's process lives, None if nobody can tell from here.

    Args:
        root: the project's root.
        tags: of the run.
    """
    lock = tags.get("lock", "")
    if is_held(root, lock):
        return True
    if any(tags.get(name) == value for name, value in machine_tags().items()):
        return False
    age_s = _age_s(paths.lock(root, lock)) if is_plain_name(lock) else None
    return None if age_s is None else age_s < DEAD_AFTER_S


def _age_s(path: Path) -> float | None:
    """Return how long nobody has touched a lock's file, by the clock of the disk it lies on."""
    try:
        with tempfile.TemporaryFile(dir=path.parent) as probe:
            return os.fstat(probe.fileno()).st_mtime - path.stat().st_mtime
    except OSError:
        return None
