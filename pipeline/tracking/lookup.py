"""Runs as people name them: an id or how it begins, a name, an experiment's, or `last`."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.config.arguments import Place
from pipeline.errors import UserError
from pipeline.tracking import paths
from pipeline.tracking.record import RunFilter, RunResult
from pipeline.tracking.store import STORE_ERRORS, Store, open_store

__all__ = [
    "GRID_FILE",
    "LAST",
    "SWEEP_TAG",
    "TAKES_TAG",
    "Selection",
    "find_run",
    "find_runs",
    "finished_before",
    "grid_of",
    "is_sweep",
    "open_tracked",
]

LAST = "last"
"""The newest sweep of the store."""

SWEEP_TAG = "sweep"

TAKES_TAG = "takes"
"""The tag of a sweep that counts runs of others (`resume=any`) as its own."""

GRID_FILE = "grid.json"
"""The artifact of a sweep that says what it asked for: overrides by config_hash."""

MIN_TELLING = 14
"""Characters of an id that tell the runs of one group apart, which begin alike."""

NUM_LISTED = 5
"""Sweeps that an error lists, at most."""


@dataclass(frozen=True)
class Selection:
    """Runs that belong together for a question."""

    parents: list[RunResult]
    """The sweeps that were named, or whose runs are here."""
    sweeps: list[RunResult]
    """Those that were named themselves."""
    runs: list[RunResult]
    """The runs, each once, the first to start first, without their curves; no parents."""
    grid: dict[str, list[str]]
    """The overrides, by config_hash, of all runs that the named sweeps asked for."""


def is_sweep(run: RunResult) -> bool:
    """Return whether it is a sweep's parent run."""
    return SWEEP_TAG in run.tags


def open_tracked(place: Place) -> Store:
    """Return the store of a place where something was tracked.

    Raises:
        UserError: nothing was, or the store can't be used.
    """
    if place.tracking.uri is None and not paths.database(place.root).is_file():
        raise UserError(
            f"root={place.root}: there is no mlflow.db, so nothing was tracked there yet. "
            "Run `python -m pipeline` first."
        )
    store = open_store(place.tracking, place.root)
    if store.database is not None and not store.database.is_file():
        raise UserError(f"tracking.uri={store.uri}: there is no such database.")
    try:
        store.client.search_experiments(max_results=1)
    except STORE_ERRORS as error:
        raise store.unavailable(error) from error
    return store


def find_run(store: Store, wanted: str) -> RunResult:
    """Return one run or sweep, without its curves.

    Args:
        store: where it is.
        wanted: its id or how that begins, its name, or `last`.

    Raises:
        UserError: there is none, or several.
    """
    if wanted == LAST:
        sweeps = _sweeps(store)
        if not sweeps:
            raise UserError(
                "last: there is no sweep yet. Run `python -m pipeline -m …` first, or name a run "
                "by its id."
            )
        return sweeps[-1]
    found = _by_id(store, wanted) or store.find(RunFilter(name=wanted))
    named = [run for run in found if is_sweep(run)] or found
    if len(named) == 1:
        return named[0]
    if named:
        raise UserError(f"{wanted}: fits several. Say one of:\n{_listed(named)}")
    known = _listed(_sweeps(store))
    hint = f" The newest sweeps:\n{known}" if known else ""
    raise UserError(f"{wanted}: there is no such run, sweep or experiment.{hint}")


def find_runs(store: Store, wanted: Sequence[str]) -> Selection:
    """Return the runs of sweeps and experiments, and single runs, together.

    Args:
        store: where they are.
        wanted: each an experiment's name, or what `find_run` takes.

    Raises:
        UserError: there is no such, or several, or it has no runs.
    """
    found = [_of_one(store, word) for word in wanted]
    selection = Selection(
        parents=_distinct(run for one in found for run in one.parents),
        sweeps=_distinct(run for one in found for run in one.sweeps),
        runs=_distinct(run for one in found for run in one.runs),
        grid={key: overrides for one in found for key, overrides in one.grid.items()},
    )
    if not selection.runs:
        raise UserError(f"{' '.join(wanted)}: there is no run yet.")
    return selection


def _distinct(runs: Iterable[RunResult]) -> list[RunResult]:
    return list({run.run_id: run for run in runs}.values())


def _of_one(store: Store, wanted: str) -> Selection:
    """Return what one word means."""
    experiment = store.runs(wanted) if wanted != LAST else None
    if experiment is not None:
        parents = [run for run in experiment if is_sweep(run)]
        return Selection(parents, [], [run for run in experiment if _is_training(run)], {})
    run = find_run(store, wanted)
    return _of_sweep(store, run) if is_sweep(run) else Selection([], [], [run], {})


def _of_sweep(store: Store, sweep: RunResult) -> Selection:
    """Return a sweep's runs, those too that it took from others instead of training them."""
    runs, grid = store.children(sweep.run_id), grid_of(store, sweep.run_id)
    lacking = grid.keys() - {run.tags["config_hash"] for run in runs}
    if lacking and sweep.tags.get(TAKES_TAG):
        others = finished_before(store, sweep)
        runs = [run for run in others if run.tags.get("config_hash") in lacking] + runs
    return Selection([sweep], [sweep], runs, grid)


def finished_before(store: Store, sweep: RunResult) -> list[RunResult]:
    """Return the finished runs that a sweep with `resume=any` may have taken when it started."""
    beside = store.finished(store.experiment_of(sweep.run_id))
    return [run for run in beside if run.started_ms <= sweep.started_ms]


def grid_of(store: Store, sweep_id: str) -> dict[str, list[str]]:
    """Return the grid of a sweep; {} if it lies elsewhere, or the sweep asked as it went."""
    if GRID_FILE not in store.artifact_names(sweep_id):
        return {}
    with tempfile.TemporaryDirectory() as folder:
        return json.loads(store.fetch_artifact(sweep_id, GRID_FILE, Path(folder)).read_bytes())


def _is_training(run: RunResult) -> bool:
    """Return whether it trained a network: parents of sweeps and reports didn't."""
    return "config_hash" in run.tags


def _sweeps(store: Store) -> list[RunResult]:
    return store.find(RunFilter(tag=SWEEP_TAG))


def _by_id(store: Store, wanted: str) -> list[RunResult]:
    is_id = re.fullmatch("[0-9a-f]{1,32}", wanted)
    return store.find(RunFilter(id_prefix=wanted)) if is_id else []


def _listed(runs: Sequence[RunResult]) -> str:
    newest = runs[-NUM_LISTED:][::-1]
    return "\n".join(f"  {run.run_id[:MIN_TELLING]}  {run.status}  {run.name}" for run in newest)
