"""A sweep: its parent run in MLflow, what is finished of its grid, one table at the end."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from pipeline.config import Config
from pipeline.errors import UserError
from pipeline.imports import quick_imports
from pipeline.locks import hold, process_lock
from pipeline.provenance import config_hash, environment_tags, run_name
from pipeline.resume import ANY, LAST, Plan, check_same_grid, make_plan
from pipeline.secrets import without_password

if TYPE_CHECKING:
    from pipeline.record import RunResult
    from pipeline.tracked_run import TrackedRun
    from pipeline.tracking import Store

__all__ = ["Grid", "Sweep", "SweepFailedError", "open_sweep"]

log = logging.getLogger("pipeline")

SWEEPS = Path("mlruns") / "sweeps"
"""Below the project's root: the grid of every sweep."""


@dataclass(frozen=True)
class Grid:
    """What a sweep is about."""

    configs: list[Config]
    """Of every cell; of a sweeper that asks as it goes, the one that its jobs start from."""
    overrides: list[list[str]]
    """Of every cell; empty for such a sweeper."""
    typed: list[str]
    """By the user."""

    @property
    def cells(self) -> dict[str, list[str]]:
        """Every cell's overrides by its config_hash."""
        return {
            config_hash(config): [item for item in overrides if not item.startswith("resume.")]
            for config, overrides in zip(self.configs, self.overrides, strict=False)
        }


class SweepFailedError(UserError):
    """Some runs of a sweep failed; the others are finished."""


class Sweep:
    """A sweep that goes on in this process: its parent run, and what is made when it ends."""

    def __init__(self, run: TrackedRun, grid: Grid, plan: Plan, *, is_new: bool) -> None:
        """Take over a parent run, new or reopened.

        Args:
            run: the parent.
            grid: what the sweep is about.
            plan: what is finished of it already.
            is_new: it has no table yet.
        """
        self._is_new = is_new
        self.run = run
        self.store = run.store
        self.name = run.record.name
        self.plan = plan
        self._order = {key: number for number, key in enumerate(grid.cells)}

    @property
    def run_id(self) -> str:
        """The parent's MLflow run."""
        assert self.run.record.run_id is not None
        return self.run.record.run_id

    def close(self, ended_by: BaseException | None) -> tuple[list[RunResult], BaseException | None]:
        """Write the sweep's table and picture, and end the parent run with an honest status.

        Args:
            ended_by: what ended the sweep early, None if nothing did.

        Returns:
            The sweep's runs, and what the command should end with.
        """
        results = self._results()
        failed = [result for result in results if result.status == "FAILED"]
        if failed and not isinstance(ended_by, SystemExit):
            ended_by = SweepFailedError(_list_failed(failed, len(results)))
        try:
            if self.plan.num_to_run or self._is_new:
                self._write_comparison(self.store.with_curves(results))
        except OSError as error:
            ended_by = ended_by or UserError(f"the sweep's table can't be written: {error}")
        self.run.close(ended_by)
        return results, ended_by

    def _results(self) -> list[RunResult]:
        """Return the runs of this sweep and those that it took from others, in the grid's order."""
        children = self.run.children()
        known = {child.run_id for child in children}
        taken = [run for run in self.plan.finished.values() if run.run_id not in known]
        last = len(self._order)
        return sorted(
            taken + children,
            key=lambda run: self._order.get(run.tags.get("config_hash", ""), last),
        )

    def _write_comparison(self, results: Sequence[RunResult]) -> None:
        from pipeline.report.figures import Curve, draw_comparison
        from pipeline.report.table import label, varied_params, write_csv

        keys = varied_params(results)
        write_csv(self.run.artifacts / "results.csv", results, keys)
        curves = [
            Curve(
                label(result, keys),
                result.curves["train/loss"],
                result.curves["test/accuracy"],
                result.status,
            )
            for result in results
        ]
        draw_comparison(self.run.artifacts / "comparison.png", curves, title=self.name)


def _list_failed(failed: Sequence[RunResult], total: int) -> str:
    lines = [f"  {result.name} ({result.run_id}): {result.error}" for result in failed]
    return "\n".join([f"{len(failed)} of {total} runs failed:", *lines])


def open_sweep(grid: Grid) -> Sweep | None:
    """Start a sweep, or take one up again as `resume` says, and say what there is to do.

    Returns:
        The sweep; None if there is nothing to do in this process: a dry run, or another process
        is at it.

    Raises:
        UserError: the store can't be opened, or there is no such sweep, or its grid is another.
    """
    with quick_imports():
        from pipeline.deliver import deliver_records  # imports mlflow
        from pipeline.tracking import open_store

    config = grid.configs[0]
    root, wanted = Path(config.root), config.resume.sweep
    if wanted is not None and not grid.overrides:
        raise UserError(
            f"resume={wanted}: only a grid can be resumed; this sweeper asks for runs as it goes."
        )
    store = open_store(config.tracking, root)
    if wanted is not None:
        deliver_records(store)
    if wanted == LAST and not store.sweeps(config.tracking.experiment_name):
        log.info("There is no sweep to resume yet; this is the first one.")
        wanted = None
    if wanted in (None, ANY):
        runs = store.finished(config.tracking.experiment_name) if wanted else []
        plan = make_plan(grid.configs, runs, owned=True) if grid.overrides else Plan()
        _say(plan, config)
        return None if config.dry_run else _start(store, grid, plan)
    parent = _find_parent(store, config)
    if (then := _read_grid(root, parent.run_id)) is not None:
        check_same_grid(grid.cells, then, parent.run_id)
    owned = config.dry_run or hold(root, parent.run_id)
    plan = make_plan(grid.configs, store.children(parent.run_id), owned=owned)
    _say(plan, config)
    if not owned:
        log.info("Another process is at sweep %s; nothing is left to do here.", parent.run_id)
    if config.dry_run or not owned:
        return None
    store.remove(plan.dead)
    return _start(store, grid, plan, parent)


def _say(plan: Plan, config: Config) -> None:
    if config.resume.sweep is not None or config.dry_run:
        for warning in plan.warnings:
            log.warning("%s", warning)
        log.info("%s", plan)


def _find_parent(store: Store, config: Config) -> RunResult:
    """Return the parent run of the sweep that is to be resumed."""
    wanted, experiment = config.resume.sweep or "", config.tracking.experiment_name
    sweeps = store.sweeps(experiment)
    found = [run for run in sweeps if wanted == LAST or run.run_id.startswith(wanted)]
    if found:
        return found[0]
    known = "\n".join(f"  {run.run_id}  {run.status}  {run.name}" for run in sweeps[:5])
    raise UserError(
        f"resume={wanted}: the experiment {experiment} has no such sweep. "
        + (f"Its last ones:\n{known}" if known else "It has none yet: leave resume=… out.")
    )


def _start(store: Store, grid: Grid, plan: Plan, parent: RunResult | None = None) -> Sweep:
    """Make the parent run, or go on with the one that is there."""
    from pipeline.tracked_run import start_run

    config = grid.configs[0]
    root = Path(config.root)
    name = parent.name if parent else run_name(grid.typed)
    run = start_run(
        store,
        experiment_name=config.tracking.experiment_name,
        name=name,
        tags={
            **config.tracking.tags,
            **environment_tags(),
            "sweep": name,
            "lock": process_lock(root),
        },
        offline_is_fine=False,
        run_id=parent.run_id if parent else None,
    )
    typed = [without_password(override) for override in grid.typed]
    (run.artifacts / "overrides.yaml").write_text(yaml.safe_dump(typed))
    sweep = Sweep(run, grid, plan, is_new=parent is None)
    hold(root, sweep.run_id)
    _write_grid(root, sweep.run_id, grid)
    return sweep


def _write_grid(root: Path, run_id: str, grid: Grid) -> None:
    folder = root / SWEEPS
    folder.mkdir(parents=True, exist_ok=True)
    cells = {
        key: [without_password(item) for item in overrides] for key, overrides in grid.cells.items()
    }
    temporary = folder / f"{run_id}.tmp"
    temporary.write_text(json.dumps(cells))
    temporary.replace(folder / f"{run_id}.json")


def _read_grid(root: Path, run_id: str) -> dict[str, list[str]] | None:
    """Return the grid of a sweep; None if it broke off before its grid was written down.

    Raises:
        UserError: the file is damaged.
    """
    path = root / SWEEPS / f"{run_id}.json"
    if not path.exists():
        log.warning("%s is missing, so nobody can tell whether this is that sweep's grid.", path)
        return None
    try:
        cells: dict[str, list[str]] = json.loads(path.read_text())
        return {key: [str(item) for item in overrides] for key, overrides in cells.items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path}: the grid of sweep {run_id} can't be read ({error}). Remove the file to go "
            "on without comparing grids."
        ) from error
