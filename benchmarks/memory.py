"""The memory that a command takes with all the processes that it starts."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType

__all__ = ["MemoryWatch"]

MAX_SHARE = 0.05
"""The share of the time, at most, in which a process waits for being looked at."""

MIN_PAUSE_S = 0.1


class MemoryWatch:
    """Looks again and again how much a process and all its descendants take, in a `with` block."""

    def __init__(self, pid: int) -> None:
        self.peak_gb = 0.0
        """The most that was seen: pages that processes share are counted once."""
        self._pid = pid
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> MemoryWatch:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._is_over.set()
        self._thread.join()

    def _look(self) -> None:
        pause = 0.0
        while not self._is_over.wait(pause):
            started = time.perf_counter()
            self.peak_gb = max(self.peak_gb, sum(map(_gb, _family(self._pid))))
            pause = max(MIN_PAUSE_S, (time.perf_counter() - started) / MAX_SHARE)


def _family(pid: int) -> list[int]:
    """Return a process and its descendants."""
    found = [pid]
    with suppress(OSError):  # it has ended meanwhile
        for thread in Path(f"/proc/{pid}/task").iterdir():
            for child in (thread / "children").read_text().split():
                found += _family(int(child))
    return found


def _gb(pid: int) -> float:
    """Return a process's share of the memory; 0 if it has ended."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 2**20
    return 0.0
