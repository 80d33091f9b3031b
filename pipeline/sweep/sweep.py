"""A sweep: its parent run in MLflow, what is finished of its grid, one answer at the end."""

from __future__ import annotations

import hashlib
import json
import logging
import shlex
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pipeline.comparison.subject import Subject
from pipeline.config.schema import Config
from pipeline.errors import UserError
from pipeline.files import is_plain_name
from pipeline.secrets import without_password
from pipeline.sweep.findings import Findings
from pipeline.sweep.grid import Grid, has_grid, read_grid, write_grid
from pipeline.sweep.parent import time_paused, varied_params
from pipeline.sweep.plan import ANY, LAST, Plan, check_same_grid, make_plan, take_finished
from pipeline.tracking import paths
from pipeline.tracking.locks import Heartbeats, alone, heartbeats_in, hold, is_alive, process_lock
from pipeline.tracking.lookup import GRID_FILE, SWEEP_TAG, TAKES_TAG, finished_before, grid_of
from pipeline.tracking.provenance import origin_tags, provenance, run_name
from pipeline.tracking.record import Record, RunResult, now_ms
from pipeline.tracking.run import TrackedRun, start_run
from pipeline.tracking.spool import remove_unfinished, send_records
from pipeline.tracking.store import STORE_ERRORS, Store, StoreError, open_store, reason

__all__ = ["Sweep", "SweepFailedError", "open_sweep"]

log = logging.getLogger("pipeline")


class SweepFailedError(UserError):
    """Some runs of a sweep failed; the others are finished."""


class Sweep:
    """A sweep that goes on in this process: its parent run, and what is made when it ends."""

    def __init__(self, run: TrackedRun, grid: Grid, plan: Plan, *, has_answer: bool) -> None:
        """Take over a parent run, new or reopened.

        Args:
            run: the parent.
            grid: what the sweep is about.
            plan: what is finished of it already.
            has_answer: it had come to its end, so there is an answer from what is finished.
        """
        self._has_answer = has_answer
        self._cells = grid.cells
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

    def close(self, ended_by: BaseException | None) -> tuple[Findings, BaseException | None]:
        """Write what the sweep has found, and end the parent run with an honest status.

        Args:
            ended_by: what ended the sweep early, None if nothing did.

        Returns:
            What the sweep has found, and what the command should end with.
        """
        results = self._results()
        self._clear_away({_cell(run) for run in results if run.status == "FINISHED"})
        failed = [result for result in results if result.status == "FAILED"]
        if failed and not isinstance(ended_by, SystemExit):
            ended_by = SweepFailedError(_list_failed(failed, len(results)))
        subject = Subject(
            f"{self.name} ({self.run_id[:8]})",
            results,
            self._cells,
            self.run.record.tags["command"],
            self.run_id,
        )
        findings = Findings.of(subject)
        try:
            if self.plan.num_to_run or not self._has_answer:
                findings.write(self.run)
        except STORE_ERRORS as error:
            said = reason(error)
            ended_by = ended_by or UserError(f"the sweep's findings can't be written: {said}")
        try:
            self.run.close(ended_by)
        except UserError as error:
            ended_by = error
        return findings, ended_by

    def _results(self) -> list[RunResult]:
        """Return the runs of this sweep and those that it took from others, in the grid's order."""
        if len(self.plan.finished) == self.plan.num_cells > 0:  # known since the plan was made
            return [self.plan.finished[key] for key in self._order]
        replaced = {run_id for run_ids in self.plan.replaced.values() for run_id in run_ids}
        children = [child for child in self.run.children() if child.run_id not in replaced]
        known = {child.run_id for child in children}
        taken = [run for run in self.plan.finished.values() if run.run_id not in known]
        last = len(self._order)
        return sorted(taken + children, key=lambda run: self._order.get(_cell(run), last))

    def _clear_away(self, finished: set[str]) -> None:
        """Remove what finished cells need no longer: checkpoints, and runs that don't count."""
        for name, cells in self.plan.checkpoints.items():
            if cells <= finished:
                shutil.rmtree(paths.checkpoints(self.store.root) / name, ignore_errors=True)
        with suppress(*STORE_ERRORS):  # the next resume does it then
            for key in self.plan.replaced.keys() & finished:
                self.store.remove(self.plan.replaced[key])


def _cell(run: RunResult) -> str:
    """Return the config_hash of the cell that a run answers."""
    return run.tags.get("config_hash", "")


def _list_failed(failed: Sequence[RunResult], total: int) -> str:
    lines = [f"  {result.name} ({result.run_id}): {result.error}" for result in failed]
    return "\n".join([f"{len(failed)} of {total} runs failed:", *lines])


def open_sweep(grid: Grid) -> Sweep | None:
    """Start a sweep, or take one up again as `resume` says, and say what there is to do.

    Returns:
        The sweep; None if there is nothing to do in this process: a dry run, or another process
        is working on it.

    Raises:
        UserError: the store can't be opened, or there is no such sweep, or its grid is another.
    """
    config = grid.configs[0]
    wanted = config.resume.sweep
    if wanted is not None and not grid.overrides:
        raise UserError(
            f"resume={wanted}: only a grid can be resumed; this sweeper asks for runs as it goes."
        )
    store = open_store(config.tracking, Path(config.root))
    try:
        if wanted is not None:
            send_records(store)
        if wanted != LAST:
            return _open(store, grid)
        with alone(store.root, _name_of_first(grid)):
            return _open(store, grid)
    except StoreError as error:
        raise store.unavailable(error) from error


def _name_of_first(grid: Grid) -> str:
    """Return the name of the lock for looking for the last sweep of a grid, or making the first."""
    asked = [grid.configs[0].tracking.experiment_name, *sorted(grid.hashes)]
    return f"first-{hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:32]}"


def _open(store: Store, grid: Grid) -> Sweep | None:
    config = grid.configs[0]
    wanted = config.resume.sweep
    parent = _find_parent(store, config) if wanted not in (None, ANY) else None
    if parent is not None:
        return _reopen(store, grid, parent)
    runs = store.finished(config.tracking.experiment_name) if wanted == ANY else []
    plan = make_plan(grid.configs_by_hash, runs, owned=True) if grid.overrides else Plan()
    _say(plan, config)
    return None if config.dry_run else _start(store, grid, plan)


def _reopen(store: Store, grid: Grid, parent: RunResult) -> Sweep | None:
    """Go on with a sweep, unless another process is working on it."""
    config = grid.configs[0]
    root, name = Path(config.root), _grid_name(parent) or parent.run_id
    asked = read_grid(root, name) if has_grid(root, name) else grid_of(store, parent.run_id)
    if asked:
        check_same_grid(grid.cells, asked, parent.run_id)
    else:
        log.warning("The grid of sweep %s can't be found: nothing to compare.", parent.run_id)
    heartbeats = heartbeats_in(store)
    owned = config.dry_run or _take(root, parent, name, heartbeats)
    children = store.children(parent.run_id)
    plan = make_plan(grid.configs_by_hash, children, owned=owned, heartbeats=heartbeats)
    if TAKES_TAG in parent.tags:
        take_finished(plan, grid.configs_by_hash, finished_before(store, parent))
    _say(plan, config)
    if not owned:
        log.info(
            "Another process is working on sweep %s; nothing is left to do here.", parent.run_id
        )
    if config.dry_run or not owned:
        return None
    store.remove(plan.dead)
    is_left = [
        run.tags.get("record", "")
        for run in (parent, *children)
        if run.status != "FINISHED" and is_alive(root, run.tags, heartbeats) is False
    ]
    remove_unfinished(root, is_left)
    return _start(store, grid, plan, parent, children)


def _take(root: Path, parent: RunResult, name: str, heartbeats: Heartbeats | None) -> bool:
    """Take a sweep for this process; return whether no other one is working on it.

    Another machine, or another root, may not see the lock that is named like the grid's file.
    """
    is_others = parent.status == "RUNNING" and parent.tags.get("lock") != process_lock(root)
    if is_others and is_alive(root, parent.tags, heartbeats):
        return False
    return hold(root, name)


def _say(plan: Plan, config: Config) -> None:
    if config.resume.sweep is not None or config.dry_run:
        for warning in plan.warnings:
            log.warning("%s", warning)
        log.info("%s", plan)


def _find_parent(store: Store, config: Config) -> RunResult | None:
    """Return the parent run of the sweep that is to be resumed; None if there is no last one."""
    wanted, experiment = config.resume.sweep or "", config.tracking.experiment_name
    sweeps = store.sweeps(experiment)
    if wanted == LAST:
        here = [run for run in sweeps if has_grid(Path(config.root), run.tags.get("grid", ""))]
        if not here:
            log.info("There is no sweep to resume yet; this is the first one.")
        return max(here, key=lambda run: run.tags["grid"], default=None)
    found = [run for run in sweeps if run.run_id.startswith(wanted)]
    if len(found) == 1:
        return found[0]
    known = "\n".join(f"  {run.run_id}  {run.status}  {run.name}" for run in (found or sweeps)[:5])
    problem = "several such sweeps" if found else "no such sweep"
    remedy = f"Choose one of:\n{known}" if known else "It has none yet: leave resume=… out."
    raise UserError(f"resume={wanted}: the experiment {experiment} has {problem}. {remedy}")


def _start(
    store: Store,
    grid: Grid,
    plan: Plan,
    parent: RunResult | None = None,
    children: Sequence[RunResult] = (),
) -> Sweep:
    """Make the parent run, or go on with the one that is there."""
    config = grid.configs[0]
    root = Path(config.root)
    grid_name = _grid_name(parent) if parent else ""
    if not has_grid(root, grid_name):
        grid_name = write_grid(root, grid.cells, grid_name)
        hold(root, grid_name)  # before the store knows of it, so that nobody else is working on it
    name = parent.name if parent else run_name(sorted(grid.typed, key=grid.fixed.__contains__))
    typed = [without_password(override) for override in grid.typed]
    record = Record(
        experiment_name=config.tracking.experiment_name,
        name=name,
        tags={
            **config.tracking.tags,
            **origin_tags(),
            SWEEP_TAG: name,
            "grid": grid_name,
            "lock": process_lock(root),
            "command": shlex.join(["python", "-m", "pipeline", "-m", *grid.options, *typed]),
            **({TAKES_TAG: ANY} if config.resume.sweep == ANY else {}),
        },
        params=varied_params(grid),
        start_time=parent.started_ms if parent else now_ms(),
        paused_ms=time_paused(parent, children) if parent else 0,
        run_id=parent.run_id if parent else None,
    )
    run = start_run(store, record, offline_is_fine=False)
    _write_grid_file(run, grid)
    (run.artifacts / "provenance.yaml").write_text(provenance(grid.typed))
    has_answer = parent is not None and parent.status == "FINISHED"
    return Sweep(run, grid, plan, has_answer=has_answer)


def _grid_name(parent: RunResult) -> str:
    """Return the name of the file of a sweep's grid, in whichever root; "" if there is none."""
    name = parent.tags.get("grid", "")
    return name if is_plain_name(name) else ""


def _write_grid_file(run: TrackedRun, grid: Grid) -> None:
    """Write a sweep's grid to its artifacts, at once where other machines look for it too."""
    file = run.artifacts / GRID_FILE
    file.write_text(json.dumps(grid.cells))
    is_sent_later = run.artifacts.parent == paths.spool(run.store.root)
    if is_sent_later:
        with suppress(*STORE_ERRORS):  # it is sent once more at the sweep's end
            run.store.add_artifacts(run.record.known_run_id, [file])
