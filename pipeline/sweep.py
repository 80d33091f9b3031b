"""A sweep: every job checked before the first one starts, one parent run, one table at the end."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from hydra.core.global_hydra import GlobalHydra
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from pipeline.compose import to_config
from pipeline.composition import composer_for, grid_jobs
from pipeline.config import Config
from pipeline.errors import UserError
from pipeline.explain import CONFIG_ERRORS, explain
from pipeline.imports import quick_imports
from pipeline.preflight import check_surroundings
from pipeline.provenance import environment_tags, run_name
from pipeline.secrets import without_password

if TYPE_CHECKING:
    from pipeline.record import RunResult
    from pipeline.tracked_run import TrackedRun

__all__ = ["Sweep", "SweepCallback", "SweepFailedError"]

log = logging.getLogger(__name__)


class SweepFailedError(UserError):
    """Some runs of a sweep failed; the others are finished."""


class Sweep:
    """A sweep that goes on in this process: its parent run, and what is made when it ends."""

    def __init__(self, config: Config, overrides: Sequence[str]) -> None:
        """Make the parent run.

        Args:
            config: of the sweep's first job; says where the runs are tracked.
            overrides: what the user typed.

        Raises:
            UserError: the tracking store can't be opened.
        """
        with quick_imports():
            from pipeline.tracked_run import start_run  # imports mlflow
            from pipeline.tracking import open_store

        self.name = run_name(overrides)
        self.store = open_store(config.tracking, Path(config.root))
        self.run: TrackedRun = start_run(
            self.store,
            experiment_name=config.tracking.experiment_name,
            name=self.name,
            tags={**config.tracking.tags, **environment_tags(), "sweep": self.name},
            offline_is_fine=False,
        )
        typed = [without_password(override) for override in overrides]
        (self.run.artifacts / "overrides.yaml").write_text(yaml.safe_dump(typed))

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
        results = self.run.children()
        failed = [result for result in results if result.status == "FAILED"]
        if failed and not isinstance(ended_by, SystemExit):
            ended_by = SweepFailedError(_list_failed(failed, len(results)))
        try:
            self._write_comparison(results)
        except OSError as error:
            ended_by = ended_by or UserError(f"the sweep's table can't be written: {error}")
        self.run.close(ended_by)
        return results, ended_by

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


class SweepCallback(Callback):
    """Hydra's hooks: checks before anything starts, the parent run, a headline per job.

    It travels to the workers of parallel launchers, and with it the parent's run id.
    """

    current: Sweep | None = None
    """The sweep of this process; the workers of a parallel launcher have none."""

    parent_run_id: str | None = None
    """The parent of the job that runs in this process."""

    num_jobs: int | None = None
    """How many jobs the sweep of this process has; None if nobody knows yet."""

    def __init__(self) -> None:
        self._parent_run_id: str | None = None
        self._num_jobs: int | None = None

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check a single run."""
        del kwargs
        with _errors_end_the_command():
            _check([to_config(config)])

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check every job, then make the parent run."""
        del kwargs
        with _errors_end_the_command():
            jobs = _checked_jobs(config)
            _check(jobs)
            sweep = Sweep(jobs[0], list(config.hydra.overrides.task))
        SweepCallback.current = sweep
        self._parent_run_id = sweep.run_id
        self._num_jobs = len(jobs) if _is_grid(config) else None
        SweepCallback.num_jobs = self._num_jobs

    def on_job_start(self, config: DictConfig, *, fused: bool = False, **kwargs: Any) -> None:
        """Say which job starts; leave the parent's run id where the job finds it.

        Args:
            config: of the job.
            fused: it is one of a group, for which the launcher has one line.
            kwargs: what else Hydra says.
        """
        del kwargs
        if self._parent_run_id is None:
            return
        SweepCallback.parent_run_id = self._parent_run_id
        if fused:
            return
        number = int(config.hydra.job.num) + 1
        total = f"/{self._num_jobs}" if self._num_jobs else ""
        log.info("run %d%s: %s", number, total, run_name(config.hydra.overrides.task))


@contextmanager
def _errors_end_the_command() -> Generator[None]:
    """Turn errors into exits, since Hydra turns callbacks' errors into warnings."""
    try:
        yield
    except CONFIG_ERRORS as error:
        sys.exit(f"error: {explain(error)}")
    except Exception:
        traceback.print_exc()
        sys.exit(1)


def _is_grid(config: DictConfig) -> bool:
    return str(config.hydra.sweeper._target_).endswith((".BasicSweeper", ".GridSweeper"))


def _checked_jobs(config: DictConfig) -> list[Config]:
    """Compose every job of a grid; of another sweeper, whose jobs nobody knows yet, the base."""
    if not _is_grid(config):
        return [to_config(config)]
    loader = GlobalHydra.instance().config_loader()
    composer = composer_for(loader, config)
    return [composer.check(job) for job in grid_jobs(loader, config)]


def _check(jobs: Sequence[Config]) -> None:
    """Check the surroundings of every job, each different one once."""
    seen: set[tuple[object, ...]] = set()
    for job in jobs:
        surroundings = (
            job.root,
            job.tracking.uri,
            job.trainer.accelerator,
            job.data.name,
            job.data.root,
            job.data.download,
        )
        if surroundings not in seen:
            check_surroundings(job)
            seen.add(surroundings)
