"""What the fused launcher does with a batch of jobs: compose all, group, train, report."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, chdir, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import (
    JobReturn,
    JobRuntime,
    JobStatus,
    configure_log,
    env_override,
    setup_globals,
)
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from pipeline.config.compose import without_hydra
from pipeline.config.composer import Composer
from pipeline.config.explain import CONFIG_ERRORS, explain
from pipeline.config.schema import Config
from pipeline.engine.grouping import plan_groups
from pipeline.errors import UserError
from pipeline.process import quick_imports
from pipeline.sweep.context import current
from pipeline.sweep.headline import headline, spans
from pipeline.tracking.record import RunResult

__all__ = ["Runner"]

log = logging.getLogger("pipeline")


@dataclass
class _Job:
    """One job: its number in the sweep, its config as Hydra has it and as checked."""

    number: int
    composed: DictConfig
    config: Config

    @property
    def overrides(self) -> list[str]:
        return list(self.composed.hydra.overrides.task)


class Runner:
    """Runs the jobs of a sweep, as many at once as its sweeper asks for."""

    def __init__(
        self,
        hydra_context: HydraContext,
        task: TaskFunction,
        sweep: DictConfig,
        max_members: int,
        max_memory_mb: float,
    ) -> None:
        """Take what Hydra gives a launcher.

        Raises:
            UserError: the limits are out of their ranges.
        """
        _check_limits(max_members, max_memory_mb)
        self._callbacks = hydra_context.callbacks
        self._task = task
        self._sweep = sweep
        self._max_members = max_members
        self._max_memory_mb = max_memory_mb
        self._context = current()
        self._composer = self._context.composer or Composer(hydra_context.config_loader, sweep)

    def run(self, job_overrides: Sequence[Sequence[str]], first: int) -> list[JobReturn]:
        """Run a batch of jobs; see `FusedLauncher.launch`."""
        setup_globals()
        self._log_as_the_sweep()
        Path(str(self._sweep.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
        jobs, returns = self._compose_all(job_overrides, first)
        for group in self._groups(jobs):
            for job, job_return in zip(group, self._run_group(group), strict=True):
                returns[job.number] = job_return
        return [returns[number] for number in sorted(returns)]

    def _groups(self, jobs: Sequence[_Job]) -> Iterator[list[_Job]]:
        """Divide the jobs: those of one checkpoint go on together, the others start."""
        alike: dict[str | None, list[_Job]] = {}
        for job in jobs:
            run = self._context.interrupted(job.config)
            alike.setdefault(run.tags["checkpoint"] if run else None, []).append(job)
        for together in alike.values():
            groups = plan_groups(
                [job.config for job in together],
                max_members=self._max_members,
                max_memory_mb=self._max_memory_mb,
            )
            for group in groups:
                yield from _apart([together[position] for position in group])

    def _compose_all(
        self, job_overrides: Sequence[Sequence[str]], first: int
    ) -> tuple[list[_Job], dict[int, JobReturn]]:
        """Return the jobs to train, and the returns of the finished ones and the bad ones."""
        jobs: list[_Job] = []
        returns: dict[int, JobReturn] = {}
        with quick_imports():  # there is no garbage here either
            for number, overrides in enumerate(job_overrides, first):
                try:
                    done = self._context.done(self._composer.check(overrides))
                    if done is None:
                        jobs.append(self._compose(number, overrides))
                    else:
                        returns[number] = _ended(_new_return(overrides), done.objective)
                except CONFIG_ERRORS as error:
                    log.error("run %d can't start: %s", number + 1, explain(error))  # noqa: TRY400  (it says all)
                    returns[number] = _ended(_new_return(overrides), error)
        return jobs, returns

    def _compose(self, number: int, overrides: Sequence[str]) -> _Job:
        composed, config = self._composer.job(overrides)
        with open_dict(composed):
            composed.hydra.job.id = number
            composed.hydra.job.num = number
        return _Job(number, composed, config)

    def _run_group(self, jobs: Sequence[_Job]) -> list[JobReturn]:
        """Do for a group what Hydra's run_job does for one job."""
        hydra_cfg_before = cast("DictConfig | None", HydraConfig.instance().cfg)
        lead = jobs[0].composed
        try:
            with quick_imports():  # there is no garbage here either
                returns = [_begin(job.composed) for job in jobs]
            _configure_log(lead)
            with _working_folder(lead):
                with env_override(lead.hydra.job.env_set):
                    for job, job_return in zip(jobs, returns, strict=True):
                        _activate(job_return.hydra_cfg)
                        job_return.working_dir = str(Path.cwd())
                        self._callbacks.on_job_start(
                            job.composed, task_function=self._task, fused=True
                        )
                    results = self._train(jobs)
                for job, job_return, result in zip(jobs, returns, results, strict=True):
                    _activate(job_return.hydra_cfg)
                    self._callbacks.on_job_end(job.composed, job_return=_ended(job_return, result))
        finally:
            _activate(hydra_cfg_before)
            self._log_as_the_sweep()
        return returns

    def _train(self, jobs: Sequence[_Job]) -> list[float | Exception]:
        """Train a group; return every job's objective, or what it failed of."""
        numbers = [job.number for job in jobs]
        overrides = [job.overrides for job in jobs]
        goes_on = self._context.interrupted(jobs[0].config) is not None
        log.info(headline(numbers, self._context.num_jobs, overrides, goes_on=goes_on))
        results = self._context.train([(job.config, job.overrides) for job in jobs])
        _log_failures(numbers, results)
        return [it if isinstance(it, Exception) else it.objective for it in results]

    def _log_as_the_sweep(self) -> None:
        configure_log(self._sweep.hydra.hydra_logging, self._sweep.hydra.verbose)


def _check_limits(max_members: int, max_memory_mb: float) -> None:
    if max_members < 1:
        raise UserError(f"hydra.launcher.max_members={max_members}: must be a whole number ≥ 1.")
    if not max_memory_mb > 0:
        raise UserError(f"hydra.launcher.max_memory_mb={max_memory_mb}: must be a number > 0.")


def _apart(jobs: list[_Job]) -> list[list[_Job]]:
    """Divide a group into runs alone where they can't share a process; say why."""
    settings = [job.composed.hydra.job for job in jobs]
    if any(setting.chdir for setting in settings):
        reason = "hydra.job.chdir gives each run a folder of its own"
    elif any(setting.env_set != settings[0].env_set for setting in settings):
        reason = "hydra.job.env_set is not the same for all"
    else:
        return [jobs]
    if len(jobs) > 1:
        numbers = spans([job.number for job in jobs])
        log.info("runs %s train one by one: %s", numbers, reason)
    return [[job] for job in jobs]


def _begin(composed: DictConfig) -> JobReturn:
    """Return what is known of a job before it has run."""
    hydra = composed.hydra
    hydra_cfg = _hydra_part(composed)
    _activate(hydra_cfg)  # the folder's name may ask for it
    folder = Path(str(hydra.sweep.dir)) / str(hydra.sweep.subdir)
    with read_write(hydra.runtime), open_dict(hydra.runtime):
        hydra.runtime.output_dir = str(folder.absolute())
    job_return = _new_return(hydra.overrides.task)
    job_return.cfg, job_return.hydra_cfg = without_hydra(composed), hydra_cfg
    return job_return


def _new_return(overrides: Sequence[str]) -> JobReturn:
    return JobReturn(overrides=list(overrides), task_name=JobRuntime.instance().get("name"))


def _ended(job_return: JobReturn, outcome: float | Exception | None) -> JobReturn:
    """Note what a job gives its sweeper: None if another process is working on it."""
    failed = isinstance(outcome, Exception)
    job_return.status = JobStatus.FAILED if failed else JobStatus.COMPLETED
    job_return.return_value = outcome
    return job_return


def _hydra_part(composed: DictConfig) -> DictConfig:
    """Return what `HydraConfig.set_config` makes of a config, but without a copy of it all."""
    OmegaConf.set_readonly(composed.hydra, True)
    part = OmegaConf.create({}, flags={"no_deepcopy_set_nodes": True})
    part["hydra"] = composed.hydra
    part.hydra._set_parent(composed)  # noqa: SLF001  (as Hydra does: interpolations reach the job)
    return part


def _activate(hydra_cfg: DictConfig | None) -> None:
    """Make it the config that `HydraConfig` and the resolver `hydra:` know."""
    HydraConfig.instance().cfg = cast("Any", hydra_cfg)


def _configure_log(lead: DictConfig) -> None:
    """Log as the first job of a group says, in a folder that is there."""
    handlers: dict[str, Any] = OmegaConf.select(lead, "hydra.job_logging.handlers") or {}
    for handler in handlers.values():
        if "filename" in handler:
            Path(str(handler["filename"])).parent.mkdir(parents=True, exist_ok=True)
    configure_log(lead.hydra.job_logging, lead.hydra.verbose)


def _working_folder(lead: DictConfig) -> AbstractContextManager[None]:
    """Return what makes the run's own folder the current one, if hydra.job.chdir asks for that."""
    if not lead.hydra.job.chdir:
        return nullcontext()
    folder = Path(lead.hydra.runtime.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    return chdir(folder)


def _log_failures(numbers: Sequence[int], results: Sequence[RunResult | Exception]) -> None:
    """Say what runs failed of; an error that ended several of them, once."""
    errors = {id(result): result for result in results if isinstance(result, Exception)}
    for error in errors.values():
        failed = [
            number for number, result in zip(numbers, results, strict=True) if result is error
        ]
        who = f"runs {spans(failed)}" if len(failed) > 1 else f"run {spans(failed)}"
        traceback = None if isinstance(error, UserError) else error
        log.error("%s failed: %s", who, error, exc_info=traceback)
