"""A sweep: its parent run in MLflow, what is finished of its grid, one answer at the end."""

from __future__ import annotations

import json
import logging
import shlex
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.comparison.cells import has_diverged
from pipeline.comparison.subject import Subject
from pipeline.config.schema import Config
from pipeline.errors import UserError
from pipeline.secrets import without_password
from pipeline.sweep.at_work import jobs_at_work, note_lost_runs
from pipeline.sweep.findings import Findings
from pipeline.sweep.grid import Cells, Grid, has_grid, read_grid, write_grid
from pipeline.sweep.parent import time_paused, varied_params
from pipeline.sweep.plan import ANY, LAST, Plan, check_same_grid, make_plan, take_finished
from pipeline.tracking import paths
from pipeline.tracking.locks import hold, is_alive, process_lock
from pipeline.tracking.lookup import GRID_FILE, SWEEP_TAG, TAKES_TAG, find_runs, finished_before
from pipeline.tracking.provenance import origin_tags, provenance, run_name
from pipeline.tracking.record import Record, RunResult, now_ms
from pipeline.tracking.run import TrackedRun, start_run
from pipeline.tracking.spool import remove_unfinished, send_records
from pipeline.tracking.store import STORE_ERRORS, Store, StoreError, open_store, reason

if TYPE_CHECKING:
    from pipeline.sweep.study import Study

__all__ = ["Sweep", "SweepFailedError", "adopt", "open_sweep"]

log = logging.getLogger("pipeline")


class SweepFailedError(UserError):
    """Some runs of a sweep failed; the others are finished."""


class Sweep:
    """A sweep that goes on in this process: its parent run, and what is made when it ends."""

    def __init__(
        self,
        run: TrackedRun,
        cells: Cells,
        plan: Plan,
        study: Study | None = None,
        searched: Mapping[str, str] | None = None,
        *,
        has_answer: bool,
    ) -> None:
        """Take over a parent run, new or reopened.

        Args:
            run: the parent.
            cells: the overrides of every cell by its config_hash.
            plan: what is finished of it already.
            study: of a search.
            searched: what is searched, with the values that it starts from.
            has_answer: it had come to its end, so there is an answer from what is finished.
        """
        self._has_answer = has_answer
        self._cells = cells
        self._searched = searched or {}
        self.study = study
        """Of a search; None of a grid."""
        self.run = run
        self.store = run.store
        self.name = run.record.name
        self.plan = plan
        self._order = {key: number for number, key in enumerate(cells)}
        self.is_left = False
        """Its jobs go on by themselves, so it doesn't end with this process."""

    @property
    def run_id(self) -> str:
        """The parent's MLflow run."""
        assert self.run.record.run_id is not None
        return self.run.record.run_id

    @property
    def num_cells(self) -> int:
        """How many runs its grid has."""
        return len(self._cells)

    def leave(self) -> None:
        """Let the sweep go on without this process."""
        self.is_left = True

    def close(self, ended_by: BaseException | None) -> tuple[Findings, BaseException | None]:
        """Write what the sweep has found, and end the parent run with an honest status.

        Args:
            ended_by: what ended the sweep early, None if nothing did.

        Returns:
            What the sweep has found, and what the command should end with.
        """
        results = self._results()
        self._clear_away({_cell(run) for run in results if run.status == "FINISHED"})
        failed = self._failed(results)
        if failed and not isinstance(ended_by, SystemExit):
            ended_by = SweepFailedError(_list_failed(failed, len(results)))
        subject = Subject(
            f"{self.name} ({self.run_id[:8]})",
            results,
            self._cells,
            self.run.record.tags["command"],
            self.run_id,
            self._searched,
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

    def _failed(self, results: Sequence[RunResult]) -> list[RunResult]:
        """Return the runs that failed; a search counts on it that some of its trials diverge."""
        failed = [run for run in results if run.status == "FAILED"]
        if self.study is None or not any(run.status == "FINISHED" for run in results):
            return failed
        return [run for run in failed if not has_diverged(run)]

    def _results(self) -> list[RunResult]:
        """Return the runs of this sweep and those that it took from others, in the grid's order."""
        if len(self.plan.finished) == len(self._order) > 0:  # known since the plan was made
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
    _check_can_resume(config.resume.sweep, grid)
    store = open_store(config.tracking, Path(config.root))
    try:
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
    finished = {_cell(run): run for run in selection.runs if run.status == "FINISHED"}
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


def _open(store: Store, grid: Grid) -> Sweep | None:
    config = grid.configs[0]
    wanted = config.resume.sweep
    if wanted is not None:
        send_records(store)
    parent = _find_parent(store, config) if wanted not in (None, ANY) else None
    if parent is not None:
        return _reopen(store, grid, parent)
    runs = store.finished(config.tracking.experiment_name) if wanted == ANY else []
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
    from pipeline.sweep.study import Study  # imports optuna

    return Study(grid.search, grid.configs[0])


def _reopen(store: Store, grid: Grid, parent: RunResult) -> Sweep | None:
    """Go on with a sweep, unless another process is working on it."""
    config = grid.configs[0]
    root, name = Path(config.root), parent.tags.get("grid", "")
    if has_grid(root, name):
        check_same_grid(grid.cells, read_grid(root, name), parent.run_id)
    else:
        log.warning("The grid of sweep %s isn't in %s: nothing to compare.", parent.run_id, root)
        name = parent.run_id
    owned = config.dry_run or hold(root, name)
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
    plan = make_plan(cells, children, owned=owned, queued=queued) if cells else Plan()
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
        if run.status != "FINISHED" and is_alive(root, run.tags) is False
    ]
    remove_unfinished(root, is_left)
    return _start(store, grid, plan, study, parent, children)


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
    grid_name = parent.tags.get("grid", "") if parent else ""
    if not has_grid(root, grid_name):
        grid_name = write_grid(root, grid.cells)
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
    (run.artifacts / GRID_FILE).write_text(json.dumps(grid.cells))
    (run.artifacts / "provenance.yaml").write_text(provenance(grid.typed))
    if study and parent is None:
        study.create(record.known_run_id)
    has_answer = parent is not None and parent.status == "FINISHED" and study is None
    searched = grid.search.start(config) if grid.search else {}
    return Sweep(run, grid.cells, plan, study, searched, has_answer=has_answer)


def _without_passwords(words: Sequence[str]) -> list[str]:
    return [without_password(word) for word in words]
