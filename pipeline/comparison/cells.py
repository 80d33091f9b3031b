"""Runs by cell: what varied between them, which seeds each cell has, and which are missing."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.tracking.provenance import CANNOT_CHANGE_RESULTS
from pipeline.tracking.record import RunResult

__all__ = [
    "Cell",
    "Cells",
    "Hole",
    "find_cells",
    "has_diverged",
    "short_names",
    "text",
    "varied_keys",
]

SEED = "seed"
DATA_PATH = "data.path"

_STATUSES = {
    "FAILED": "failed",
    "KILLED": "interrupted",
    "RUNNING": "running",
    "PRUNED": "pruned",
}


@dataclass(frozen=True)
class Hole:
    """A run that a sweep asked for and that isn't finished."""

    name: str
    status: str
    """failed, diverged, interrupted, running, pruned, or missing where it never started."""
    run_id: str | None = None
    """None if it never started."""


@dataclass(frozen=True)
class Cell:
    """A config without its seed, and its runs."""

    values: dict[str, str]
    """What sets it apart from the other cells, by key; "" where its config has no such key."""
    runs: dict[int, RunResult] = field(default_factory=dict[int, RunResult])
    """The finished runs by seed."""
    holes: list[Hole] = field(default_factory=list[Hole])

    @property
    def num_expected(self) -> int:
        """How many seeds it should have."""
        return len(self.runs) + len(self.holes)


@dataclass(frozen=True)
class Cells:
    """The cells of a sweep, an experiment, or several together."""

    keys: list[str]
    """What varied, the seed aside; no key that follows from those before it."""
    cells: list[Cell]
    """In the order in which their runs started."""
    unknown: list[Hole]
    """Missing runs of cells that have no run at all."""
    num_repeated: int
    """Finished runs that don't count, since a newer one has the same config and seed."""

    @property
    def holes(self) -> list[Hole]:
        """All runs that are not finished."""
        return [*(hole for cell in self.cells for hole in cell.holes), *self.unknown]


def find_cells(runs: Sequence[RunResult], grid: Mapping[str, Sequence[str]] | None = None) -> Cells:
    """Divide runs into cells.

    Args:
        runs: in the order in which they started.
        grid: the overrides of every run that was asked for by its config_hash, if that is known.
    """
    keys = varied_keys(run.params for run in runs)
    finished = [run for run in runs if run.status == "FINISHED"]
    newest = {run.tags["config_hash"]: run for run in finished}
    values = _values(runs, keys)
    cells: dict[tuple[str, ...], Cell] = {}
    for run in runs:
        cell = cells.setdefault(tuple(values[run.run_id].values()), Cell(values[run.run_id]))
        if newest.get(run.tags["config_hash"]) is run:
            cell.runs[int(run.params[SEED])] = run
    open_runs = {run.tags["config_hash"]: run for run in runs if run.status != "FINISHED"}
    for key, run in open_runs.items():
        if key not in newest:
            cells[tuple(values[run.run_id].values())].holes.append(_open_hole(run))
    started = {run.tags["config_hash"]: run for run in runs}
    of_cell = {
        _without_seed(grid[key]): cells[tuple(values[run.run_id].values())]
        for key, run in started.items()
        if grid and key in grid
    }
    unknown: list[Hole] = []
    for key, overrides in (grid or {}).items():
        if key not in started:
            cell = of_cell.get(_without_seed(overrides))
            (cell.holes if cell else unknown).append(Hole(" ".join(overrides), "missing"))
    return Cells(keys, list(cells.values()), unknown, len(finished) - len(newest))


def varied_keys(params: Iterable[Mapping[str, str]]) -> list[str]:
    """Return the keys that set configs apart, none that follows from the options that were chosen.

    The seed is no choice, nor is what can't change a number. A key that some configs don't have,
    such as dropout.p_keep without dropout, differs from those that have it. The names of the
    groups' options go first, so that optimizer.betas is not among the keys where it varies with
    optimizer.name alone.
    """
    table = list(params)
    keys = [key for key in dict.fromkeys(key for row in table for key in row) if _is_choice(key)]
    keys.sort(key=lambda key: not key.endswith(".name"))
    kept: list[str] = []
    parts: list[object] = [()] * len(table)
    for key in keys:
        finer = [(part, row.get(key)) for part, row in zip(parts, table, strict=True)]
        if len(set(finer)) > len(set(parts)):
            kept.append(key)
            if key.endswith(".name"):
                parts = list(_numbered(finer))
    return kept


def _numbered(parts: Sequence[object]) -> Iterable[int]:
    """Return the number of each part in order of appearance."""
    numbers: dict[object, int] = {}
    return [numbers.setdefault(part, len(numbers)) for part in parts]


def _is_choice(key: str) -> bool:
    return key != SEED and not any(
        key == skip or key.startswith(f"{skip}.") for skip in CANNOT_CHANGE_RESULTS
    )


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """Return what each key is called where that is clear.

    >>> short_names(["loss.name", "loss.gamma", "schedule.gamma"])
    {'loss.name': 'loss', 'loss.gamma': 'loss.gamma', 'schedule.gamma': 'schedule.gamma'}
    """
    leaves: defaultdict[str, int] = defaultdict(int)
    for key in keys:
        leaves[_leaf(key)] += 1
    return {key: _leaf(key) if leaves[_leaf(key)] == 1 else key for key in keys}


def _leaf(key: str) -> str:
    group, _, name = key.rpartition(".")
    return group if name == "name" else name


def text(values: Mapping[str, str], names: Mapping[str, str] | None = None) -> str:
    """Return what sets a cell apart, such as "loss=ce lr=0.1"."""
    names = names or short_names(list(values))
    parts = [f"{names[key]}={value}" for key, value in values.items() if value != ""]
    return " ".join(parts) or "the only cell"


def _values(runs: Sequence[RunResult], keys: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return what each run, by its id, has under each key; paths less the folder they share."""
    values = {run.run_id: {key: run.params.get(key, "") for key in keys} for run in runs}
    if DATA_PATH in keys:
        paths = [it[DATA_PATH] for it in values.values() if it[DATA_PATH]]
        shared = os.path.commonpath([Path(path).parent for path in paths])
        for it in values.values():
            if it[DATA_PATH]:
                it[DATA_PATH] = str(Path(it[DATA_PATH]).relative_to(shared))
    return values


def _open_hole(run: RunResult) -> Hole:
    status = _STATUSES[run.status]
    return Hole(run.name, "diverged" if has_diverged(run) else status, run.run_id)


def has_diverged(run: RunResult) -> bool:
    """Return whether a run failed since its numbers were no longer finite."""
    return run.status == "FAILED" and "diverged" in (run.error or "")


def _without_seed(overrides: Sequence[str]) -> tuple[str, ...]:
    return tuple(item for item in overrides if not item.lstrip("+").startswith(f"{SEED}="))
