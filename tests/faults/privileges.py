"""Namespaces of the tests' own: without root's rights, or with disks that are small."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

MOUNT = 'mount -t tmpfs -o "size=$1" small "$0" && echo mounted && exec sleep 600'


def unprivileged() -> tuple[str, ...]:
    """What runs a command without the right to pass over permissions, also for root."""
    if os.geteuid() != 0:
        return ()
    before = ("unshare", "--user", "--map-user=1000")
    try:
        subprocess.run([*before, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip(f"root ignores permissions, and {' '.join(before)} isn't allowed here")
    return before


@dataclass(frozen=True)
class Disk:
    """A disk that only some commands see."""

    folder: Path
    """Where they see it."""
    outside: Path
    """The same folder for everybody else."""
    before: tuple[str, ...]
    """What makes a command see it."""

    def fill(self) -> None:
        """Write until there is no room left."""
        with (self.outside / "filler").open("wb", buffering=0) as file:
            for size in (2**20, 2**12, 1):
                try:
                    while file.write(bytes(size)):
                        pass
                except OSError:
                    continue

    def copy_store(self, folder: Path) -> Path:
        """Copy the store to where SQLite finds it, which sees through `outside`."""
        shutil.copy(self.outside / "mlflow.db", folder)
        return folder

    def make_room(self) -> None:
        """Take that away again."""
        (self.outside / "filler").unlink()


@contextmanager
def small_disk(folder: Path, size: str) -> Generator[Disk]:
    """Mount a disk of a size such as 24m; skip the test where that isn't allowed."""
    unshare = ["unshare", "--map-root-user", "--mount"]
    with subprocess.Popen(
        [*unshare, "sh", "-c", MOUNT, str(folder), size],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as holder:
        try:
            assert holder.stdout is not None
            if holder.stdout.readline() != "mounted\n":
                pytest.skip(f"this machine doesn't allow {' '.join(unshare)} mount -t tmpfs")
            enter = ("nsenter", f"--target={holder.pid}", "--user", "--mount")
            outside = Path(f"/proc/{holder.pid}/root{folder}")
            yield Disk(folder, outside, (*enter, "--preserve-credentials"))
        finally:
            holder.kill()
