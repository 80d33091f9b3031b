"""What a comparison is about: the runs of sweeps and experiments, and the grid they come of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.tracking.lookup import find_runs
from pipeline.tracking.record import RunResult
from pipeline.tracking.store import Store

__all__ = ["Subject", "find_subject"]


@dataclass(frozen=True)
class Subject:
    """What an answer is about."""

    title: str
    runs: Sequence[RunResult]
    """In the order in which they started."""
    grid: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    """The overrides of every run that was asked for, by config_hash; empty if nobody knows."""
    command: str | None = None
    """What was typed, if it is one sweep."""
    sweep_id: str | None = None
    """The run id of that sweep."""
    searched: Mapping[str, str] = field(default_factory=dict[str, str])
    """The params that a search has tuned, with the values that it started from; {} of a grid."""


def find_subject(store: Store, wanted: Sequence[str]) -> Subject:
    """Return what sweeps and experiments hold, together.

    Args:
        store: where they are.
        wanted: see `find_runs`.

    Raises:
        UserError: there is no such, or it has no runs.
    """
    found = find_runs(store, wanted)
    if len(found.sweeps) == 1:
        (sweep,) = found.sweeps
        command, sweep_id = sweep.tags.get("command"), sweep.run_id
        title = f"{sweep.name} ({sweep_id[:8]})"
    else:
        command, sweep_id, title = None, None, " ".join(wanted)
    return Subject(title, found.runs, found.grid, command, sweep_id)
