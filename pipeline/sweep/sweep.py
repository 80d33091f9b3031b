"""A sweep: its parent run in MLflow, what is finished of its grid, one answer at the end."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from pipeline.comparison.cells import has_diverged
from pipeline.comparison.subject import Subject
from pipeline.errors import UserError
from pipeline.sweep.findings import Findings
from pipeline.sweep.grid import Cells
from pipeline.sweep.plan import Plan
from pipeline.tracking import paths
from pipeline.tracking.record import RunResult
from pipeline.tracking.run import TrackedRun
from pipeline.tracking.store import STORE_ERRORS, reason

if TYPE_CHECKING:
    from pipeline.sweep.search.study import Study

__all__ = ["Sweep", "SweepFailedError", "cell_of"]

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
        """The study of a search; None for a grid."""
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
        self._clear_away({cell_of(run) for run in results if run.status == "FINISHED"})
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
        return sorted(taken + children, key=lambda run: self._order.get(cell_of(run), last))

    def _clear_away(self, finished: set[str]) -> None:
        """Remove what finished cells need no longer: checkpoints, and runs that don't count."""
        for name, cells in self.plan.checkpoints.items():
            if cells <= finished:
                shutil.rmtree(paths.checkpoints(self.store.root) / name, ignore_errors=True)
        with suppress(*STORE_ERRORS):  # the next resume does it then
            for key in self.plan.replaced.keys() & finished:
                self.store.remove(self.plan.replaced[key])


def cell_of(run: RunResult) -> str:
    """Return the config_hash of the cell that a run answers."""
    return run.tags.get("config_hash", "")


def _list_failed(failed: Sequence[RunResult], total: int) -> str:
    lines = [f"  {result.name} ({result.run_id}): {result.error}" for result in failed]
    return "\n".join([f"{len(failed)} of {total} runs failed:", *lines])
