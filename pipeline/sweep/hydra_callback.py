"""Hydra's hooks around runs and sweeps: checks before anything starts, a headline per job."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.experimental.callback import Callback
from hydra.utils import get_class
from omegaconf import DictConfig

from pipeline.config.compose import to_config
from pipeline.config.composer import Composer, grid_jobs
from pipeline.config.explain import CONFIG_ERRORS, explain
from pipeline.errors import UserError
from pipeline.process import quick_imports
from pipeline.sweep.context import SweepContext, enter
from pipeline.sweep.grid import Grid
from pipeline.sweep.headline import headline
from pipeline.sweep.preflight import check_search, check_surroundings
from pipeline.sweep.search.search import find_search

__all__ = ["SweepCallback"]

log = logging.getLogger("pipeline")


class SweepCallback(Callback):
    """Checks before anything starts, the sweep's opening, a headline per job.

    It travels to the workers of parallel launchers, and the sweep's context with it.
    """

    def __init__(self) -> None:
        self._context = SweepContext()

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check a single run."""
        del kwargs
        with _errors_end_the_command():
            job = to_config(config)
            check_surroundings([job])
            if job.dry_run:
                log.info("1 to run")
                sys.exit(0)
            if job.resume.sweep is not None:
                raise UserError(
                    f"resume={job.resume.sweep}: a single run has nothing to resume. For a sweep, "
                    "type its grid with -m."
                )
            Path(str(config.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)  # for the log

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check every job, see what is finished, then make or reopen the parent run."""
        del kwargs
        with _errors_end_the_command():
            composer = Composer(GlobalHydra.instance().config_loader(), config)
            grid = _checked_grid(composer, config)
            check_launcher = getattr(get_class(config.hydra.launcher._target_), "check", None)
            if grid.search is not None and config.hydra.launcher.get("detach"):
                raise UserError(
                    "hydra.launcher.detach=true: a search asks for its trials as it goes, so its "
                    "own process has to stay. Leave it out."
                )
            if check_launcher is not None and not grid.configs[0].dry_run:
                check_launcher(config.hydra.launcher)
            check_surroundings(grid.configs, train_here=check_launcher is None)
            with quick_imports():
                from pipeline.sweep.opening import open_sweep  # imports mlflow

            sweep = open_sweep(grid)
        if sweep is None:
            sys.exit(0)
        self._context = SweepContext(
            sweep.run_id, grid.num_jobs, sweep.plan, grid.fixed, sweep, composer
        )
        enter(self._context)

    def on_job_start(self, config: DictConfig, *, fused: bool = False, **kwargs: Any) -> None:
        """Let the job find the sweep's context, and say that it starts.

        Args:
            config: of the job.
            fused: its launcher has one line for all that start with it.
            kwargs: what else Hydra says.
        """
        del kwargs
        enter(self._context)
        if self._context.parent_run_id is None or fused:
            return
        job = to_config(config)
        if self._context.done(job) is None:
            goes_on = self._context.interrupted(job) is not None
            overrides = [list(config.hydra.overrides.task)]
            number = int(config.hydra.job.num)
            log.info(headline([number], self._context.num_jobs, overrides, goes_on=goes_on))


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


def _checked_grid(composer: Composer, config: DictConfig) -> Grid:
    """Compose every job of a grid; of another sweeper, whose jobs nobody knows yet, the base."""
    loader = GlobalHydra.instance().config_loader()
    typed, options = list(config.hydra.overrides.task), _config_dir(config)
    sweeper = str(config.hydra.sweeper._target_)
    if sweeper.endswith((".BasicSweeper", ".GridSweeper")):
        overrides = grid_jobs(loader, config)
        return Grid([composer.check(job) for job in overrides], overrides, typed, options)
    base = to_config(config)
    check_search(config.hydra.sweeper, base)
    if not sweeper.endswith(".SearchSweeper"):
        return Grid([base], [], typed, options)
    search = find_search(loader, config, composer)
    return Grid([base], [], search.typed, [*options, *_of_sweeper(config)], search)


def _of_sweeper(config: DictConfig) -> list[str]:
    """Return what was typed of the sweeper."""
    typed = map(str, config.hydra.overrides.hydra)
    return [word for word in typed if word.startswith(("hydra/sweeper", "hydra.sweeper"))]


def _config_dir(config: DictConfig) -> list[str]:
    """Return the option that names a folder of configs, as it is typed; [] if none does."""
    folders = [
        str(source.path)
        for source in config.hydra.runtime.config_sources
        if source.provider == "command-line"
    ]
    return [word for folder in folders for word in ("--config-dir", folder)]
