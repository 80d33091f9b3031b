"""How a sweep begins, goes on where it stopped, or is taken over to be ended."""

from __future__ import annotations

import hashlib
import json
import logging
import shlex
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.cluster.at_work import jobs_at_work, note_lost_runs
from pipeline.config.schema import Config
from pipeline.errors import UserError
from pipeline.files import is_plain_name
from pipeline.secrets import without_password
from pipeline.sweep.grid import Grid, has_grid, read_grid, write_grid
from pipeline.sweep.parent import time_paused, varied_params
from pipeline.sweep.plan import (
    ANY,
    LAST,
    Plan,
    check_same_data,
    check_same_grid,
    make_plan,
    take_finished,
)
from pipeline.sweep.sweep import Sweep, cell_of
from pipeline.tracking import paths
from pipeline.tracking.locks import Heartbeats, alone, heartbeats_in, hold, is_alive, process_lock
from pipeline.tracking.lookup import (
    GRID_FILE,
    SWEEP_TAG,
    TAKES_TAG,
    find_runs,
    finished_before,
    grid_of,
)
from pipeline.tracking.provenance import origin_tags, provenance, run_name
from pipeline.tracking.record import Record, RunResult, now_ms
from pipeline.tracking.run import TrackedRun, start_run
from pipeline.tracking.spool import remove_unfinished, send_records
from pipeline.tracking.store import STORE_ERRORS, Store, StoreError, open_store

if TYPE_CHECKING:
    from pipeline.sweep.search.study import Study

__all__ = ["adopt", "open_sweep"]

log = logging.getLogger("pipeline")


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
    _check_can_resume(wanted, grid)
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


def adopt(store: Store, parent: RunResult) -> Sweep | None:
    """Take over a sweep whose process is gone, to end it; nothing of it is trained here.

    Args:
        store: where it is.
        parent: its run, RUNNING.

    Returns:
        The sweep; None if another process is working on it.
    """
    if not hold(store.root, parent.tags.get("grid", parent.run_id)):
        return None
    selection = find_runs(store, [parent.run_id])
    finished = {cell_of(run): run for run in selection.runs if run.status == "FINISHED"}
    record = Record(
        experiment_name=store.experiment_of(parent.run_id),
        name=parent.name,
        tags={**parent.tags, "lock": process_lock(store.root)},
        start_time=parent.started_ms,
        run_id=parent.run_id,
    )
    run = start_run(store, record, offline_is_fine=False)
    plan = Plan(finished=finished, num_cells=len(selection.grid))
    return Sweep(run, selection.grid, plan, has_answer=False)


def _check_can_resume(wanted: str | None, grid: Grid) -> None:
    if wanted is not None and not grid.overrides and grid.search is None:
        raise UserError(
            f"resume={wanted}: only a grid or hydra/sweeper=optuna can be resumed; this sweeper "
            "asks for runs as it goes."
        )
    if wanted == ANY and grid.search is not None:
        raise UserError("resume=any: only grids take runs of other sweeps. Say resume=last or ID.")


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
    experiments = dict.fromkeys(it.tracking.experiment_name for it in grid.configs)
    runs = [run for name in experiments for run in store.finished(name)] if wanted == ANY else []
    plan = make_plan(grid.configs_by_hash, runs, owned=True) if grid.overrides else Plan()
    _say(config, plan, grid.search or plan)
    if config.dry_run:
        return None
    study = _open_study(grid)
    if study:
        study.check_new()
    return _start(store, grid, plan, study)


def _open_study(grid: Grid) -> Study | None:
    """Return the study of a search, neither begun nor loaded; None of a grid."""
    if grid.search is None:
        return None
    from pipeline.sweep.search.study import Study  # imports optuna

    return Study(grid.search, grid.configs[0])


def _reopen(store: Store, grid: Grid, parent: RunResult) -> Sweep | None:
    """Go on with a sweep, unless another process is working on it."""
    config = grid.configs[0]
    root, name = Path(config.root), _grid_name(parent) or parent.run_id
    asked = read_grid(root, name) if has_grid(root, name) else grid_of(store, parent.run_id)
    if asked or has_grid(root, name):
        check_same_grid(grid.cells, asked, parent.run_id)
    else:
        log.warning("The grid of sweep %s can't be found: nothing to compare.", parent.run_id)
    heartbeats = heartbeats_in(store)
    owned = config.dry_run or _take(root, parent, name, heartbeats)
    children = store.children(parent.run_id)
    study = _open_study(grid)
    cells = grid.configs_by_hash
    if study:
        cells = study.load(parent.run_id, has_runs=bool(children))
    queued: set[str] = set()
    if owned:
        at_work = jobs_at_work(root, parent.run_id, children)
        queued = {key for job in at_work for key in job.runs}
        if not config.dry_run:
            note_lost_runs(store, children, at_work)
            children = store.children(parent.run_id)
    plan = Plan()
    if cells:
        check_same_data(cells, children, parent.run_id)
        plan = make_plan(cells, children, owned=owned, queued=queued, heartbeats=heartbeats)
    if study and study.prunes:  # which members had stopped, no checkpoint says
        plan.start_anew()
    if TAKES_TAG in parent.tags:
        take_finished(plan, grid.configs_by_hash, finished_before(store, parent))
    _say(config, plan, study or plan)
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
    return _start(store, grid, plan, study, parent, children)


def _take(root: Path, parent: RunResult, name: str, heartbeats: Heartbeats | None) -> bool:
    """Take a sweep for this process; return whether no other one is working on it.

    Another machine, or another root, may not see the lock that is named like the grid's file.
    """
    is_others = parent.status == "RUNNING" and parent.tags.get("lock") != process_lock(root)
    if is_others and is_alive(root, parent.tags, heartbeats):
        return False
    return hold(root, name)


def _say(config: Config, plan: Plan, to_do: object) -> None:
    if config.resume.sweep is not None or config.dry_run:
        for warning in plan.warnings:
            log.warning("%s", warning)
        log.info("%s", to_do)
        if plan.num_left:
            log.info(
                "%d were still going on when their process was killed, as when memory runs out "
                "(exit code 137).",
                plan.num_left,
            )


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
    study: Study | None,
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
    options, typed = map(_without_passwords, (grid.options, grid.typed))
    record = Record(
        experiment_name=config.tracking.experiment_name,
        name=name,
        tags={
            **config.tracking.tags,
            **origin_tags(),
            SWEEP_TAG: name,
            "grid": grid_name,
            "lock": process_lock(root),
            "command": shlex.join(["python", "-m", "pipeline", "-m", *options, *typed]),
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
    if study and parent is None:
        study.create(record.known_run_id)
    has_answer = parent is not None and parent.status == "FINISHED" and study is None
    searched = grid.search.start(config) if grid.search else {}
    return Sweep(run, grid.cells, plan, study, searched, has_answer=has_answer)


def _without_passwords(words: Sequence[str]) -> list[str]:
    return [without_password(word) for word in words]


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
