"""Hydra's hooks around runs and sweeps: checks before anything starts, a headline per job."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hydra.core.global_hydra import GlobalHydra
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from pipeline.config.compose import to_config
from pipeline.config.composer import composer_for, grid_jobs
from pipeline.config.explain import CONFIG_ERRORS, explain
from pipeline.config.schema import Config
from pipeline.errors import UserError
from pipeline.sweep.plan import Plan
from pipeline.sweep.preflight import check_surroundings
from pipeline.sweep.sweep import Grid, open_sweep
from pipeline.tracking.provenance import config_hash, run_name

if TYPE_CHECKING:
    from pipeline.sweep.sweep import Sweep
    from pipeline.tracking.record import RunResult

__all__ = ["Done", "SweepCallback"]

log = logging.getLogger("pipeline")


@dataclass(frozen=True)
class Done:
    """A job that isn't trained: its result is there, or another process is working on it."""

    objective: float | None
    """What the sweeper gets; None if nobody knows it yet."""


class SweepCallback(Callback):
    """Hydra's hooks: checks before anything starts, the sweep's opening, a headline per job.

    It travels to the workers of parallel launchers, and with it the parent's run id.
    """

    current: Sweep | None = None
    """The sweep of this process; the workers of a parallel launcher have none."""

    parent_run_id: str | None = None
    """The parent of the job that runs in this process."""

    num_jobs: int | None = None
    """How many jobs the sweep of this process has; None if nobody knows yet."""

    plan: Plan = Plan()
    """What of this process's sweep is finished already, or runs elsewhere."""

    def __init__(self) -> None:
        self._parent_run_id: str | None = None
        self._num_jobs: int | None = None
        self._plan = Plan()

    @classmethod
    def done(cls, config: Config) -> Done | None:
        """Return what is known of a job that isn't trained, None of one that is."""
        key = config_hash(config) if cls.plan.num_cells else ""
        if key in cls.plan.running:
            return Done(None)
        finished = cls.plan.finished.get(key)
        return Done(finished.objective) if finished else None

    @classmethod
    def interrupted(cls, config: Config) -> RunResult | None:
        """Return the run that a job goes on with, if there is one with a checkpoint."""
        return cls.plan.continued.get(config_hash(config)) if cls.plan.continued else None

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check a single run."""
        del kwargs
        with _errors_end_the_command():
            job = to_config(config)
            _check([job])
            if job.dry_run:
                log.info("1 to run")
                sys.exit(0)
            if job.resume.sweep is not None:
                raise UserError(
                    f"resume={job.resume.sweep}: a single run has nothing to resume. For a sweep, "
                    "type its grid with -m."
                )

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check every job, see what is finished, then make or reopen the parent run."""
        del kwargs
        with _errors_end_the_command():
            grid = _checked_grid(config)
            _check(grid.configs)
            sweep = open_sweep(grid)
        if sweep is None:
            sys.exit(0)
        SweepCallback.current = sweep
        self._parent_run_id = sweep.run_id
        self._plan = SweepCallback.plan = sweep.plan
        self._num_jobs = len(grid.overrides) or None
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
        SweepCallback.plan = self._plan
        if fused or self.done(to_config(config)):
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
    except OSError as error:
        sys.exit(f"error: {error.filename or 'the files of the sweep'}: {error.strerror or error}")
    except Exception:
        traceback.print_exc()
        sys.exit(1)


def _is_grid(config: DictConfig) -> bool:
    return str(config.hydra.sweeper._target_).endswith((".BasicSweeper", ".GridSweeper"))


def _checked_grid(config: DictConfig) -> Grid:
    """Compose every job of a grid; of another sweeper, whose jobs nobody knows yet, the base."""
    typed = list(config.hydra.overrides.task)
    if not _is_grid(config):
        return Grid([to_config(config)], [], typed)
    loader = GlobalHydra.instance().config_loader()
    composer = composer_for(loader, config)
    overrides = grid_jobs(loader, config)
    return Grid([composer.check(job) for job in overrides], overrides, typed)


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
