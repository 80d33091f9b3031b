"""How much memory this process may use where that is limited: in a container, a cluster's job."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["be_ended_first", "free_mb", "limit_mb", "num_ended"]

CGROUPS = Path("/sys/fs/cgroup")

OWN_CGROUPS = Path("/proc/self/cgroup")
"""Lines such as `0::/` (version 2) and `4:memory:/a/b` (version 1)."""

MEMINFO = Path("/proc/meminfo")
OWN_PAGES = Path("/proc/self/statm")

FILES = {
    "limit": ("memory.max", "memory.limit_in_bytes"),
    "events": ("memory.events", "memory.oom_control"),
}
"""What a control group says, by the names of version 2 and 1."""

EARLIER = 200
"""By how many thousandths of the limit a process counts as larger than it is."""


def limit_mb() -> float | None:
    """Return what the control group of this process may use; None where nothing is limited."""
    limits = [int(text) for text in _said("limit") if text.strip().isdigit()]
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = min(limits, default=physical)
    return limit / 2**20 if limit < physical else None


def free_mb() -> float:
    """Return how much more memory this process may use: on the machine, and within its limits."""
    page = os.sysconf("SC_PAGE_SIZE")
    free = [_available_mb() or os.sysconf("SC_AVPHYS_PAGES") * page / 2**20]
    if (limit := limit_mb()) is not None:
        own = int(OWN_PAGES.read_text().split()[1]) * page / 2**20
        free.append(max(0, limit - own))
    return min(free)


def _available_mb() -> float:
    """Return what the system could free for a new program; 0 if it doesn't say."""
    if not MEMINFO.exists():
        return 0
    said = dict(line.split(":", 1) for line in MEMINFO.read_text().splitlines() if ":" in line)
    return int(said.get("MemAvailable", "0 kB").split()[0]) / 1024


def num_ended() -> int:
    """Return how many processes the system has ended because the limit was reached."""
    said = next(_said("events"), "").split()
    return int(said[said.index("oom_kill") + 1]) if "oom_kill" in said else 0


def be_ended_first() -> None:
    """Let the system end this process, not the one that can say so, when memory runs out."""
    path = Path("/proc/self/oom_score_adj")
    path.write_text(str(min(1000, int(path.read_text()) + EARLIER)))


def _said(what: str) -> Iterator[str]:
    """Return what the control groups that hold this process say, innermost first.

    A container sees its own group at the top of the tree, whatever the name of it is outside.
    """
    if not OWN_CGROUPS.exists():
        return
    for name, tree in zip(FILES[what], (CGROUPS, CGROUPS / "memory"), strict=True):
        folder = tree / _own_group("" if tree == CGROUPS else "memory")
        for group in (folder, *folder.parents):
            if group.is_relative_to(tree) and (group / name).exists():
                yield (group / name).read_text()


def _own_group(controller: str) -> str:
    """Return the path of this process's control group, "" if it has none for a controller."""
    for line in OWN_CGROUPS.read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            return path.lstrip("/")
    return ""
