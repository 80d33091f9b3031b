"""What the fused launcher does with a batch of jobs: compose all, group, train, report."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import (
    JobReturn,
    JobRuntime,
    JobStatus,
    configure_log,
    env_override,
    run_job,
    setup_globals,
)
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from hydra_plugins.pipeline_fused._folders import activate, open_folder, point_to_the_log
from hydra_plugins.pipeline_fused._headline import headline, spans
from pipeline.config.composer import Composer, composer_for
from pipeline.config.explain import CONFIG_ERRORS, explain
from pipeline.config.schema import Config
from pipeline.engine.grouping import plan_groups
from pipeline.errors import UserError
from pipeline.process import quick_imports
from pipeline.sweep.hydra_callback import SweepCallback

__all__ = ["Batch"]

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


class Batch:
    """The jobs that a sweeper gives at once."""

    def __init__(self, context: HydraContext, task: TaskFunction, sweep: DictConfig) -> None:
        """Take what Hydra gives a launcher."""
        self._context = context
        self._task = task
        self._sweep = sweep

    def run(
        self,
        job_overrides: Sequence[Sequence[str]],
        first: int,
        *,
        max_members: int,
        max_memory_mb: float,
    ) -> list[JobReturn]:
        """Run the jobs; see `FusedLauncher.launch`."""
        _check_limits(max_members, max_memory_mb)
        setup_globals()
        self._log_as_the_sweep()
        Path(str(self._sweep.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
        jobs, returns = self._compose_all(job_overrides, first)
        for together in _by_checkpoint(jobs):
            configs = [job.config for job in together]
            for group in plan_groups(configs, max_members=max_members, max_memory_mb=max_memory_mb):
                members = [together[position] for position in group]
                for job, job_return in zip(members, self._run_group(members), strict=True):
                    returns[job.number] = job_return
        return [returns[number] for number in sorted(returns)]

    def _compose_all(
        self, job_overrides: Sequence[Sequence[str]], first: int
    ) -> tuple[list[_Job], dict[int, JobReturn]]:
        """Return the jobs to train, and the returns of the finished ones and the bad ones."""
        jobs: list[_Job] = []
        returns: dict[int, JobReturn] = {}
        with quick_imports():  # there is no garbage here either
            for number, overrides in enumerate(job_overrides, first):
                try:
                    done = SweepCallback.done(self._composer.check(overrides))
                    if done is None:
                        jobs.append(self._compose(number, overrides))
                    else:
                        returns[number] = _completed(overrides, done.objective)
                except CONFIG_ERRORS as error:
                    log.error("run %d can't start: %s", number + 1, explain(error))  # noqa: TRY400  (it says all)
                    returns[number] = _failed(overrides, error)
        return jobs, returns

    @property
    def _composer(self) -> Composer:
        return composer_for(self._context.config_loader, self._sweep)

    def _compose(self, number: int, overrides: Sequence[str]) -> _Job:
        composed, config = self._composer.job(overrides)
        with open_dict(composed):
            composed.hydra.job.id = number
            composed.hydra.job.num = number
        return _Job(number, composed, config)

    def _run_group(self, jobs: Sequence[_Job]) -> list[JobReturn]:
        reason = _why_apart(jobs)
        try:
            if reason is None:
                return self._run_fused(jobs)
            return [self._run_alone(job, reason) for job in jobs]
        finally:
            self._log_as_the_sweep()

    def _run_alone(self, job: _Job, reason: str | None) -> JobReturn:
        if reason is not None:
            log.info("run %d trains alone: %s", job.number + 1, reason)
        return run_job(
            hydra_context=self._context,
            task_function=self._task,
            config=job.composed,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )

    def _run_fused(self, jobs: Sequence[_Job]) -> list[JobReturn]:
        """Do for a group what Hydra's run_job does for one job."""
        cfg_before = cast("DictConfig | None", HydraConfig.instance().cfg)
        callbacks = self._context.callbacks
        lead = jobs[0].composed
        try:
            with quick_imports():  # there is no garbage here either
                returns = [open_folder(job.composed) for job in jobs]
            configure_log(lead.hydra.job_logging, lead.hydra.verbose)
            point_to_the_log(
                f"{lead.hydra.job.name}.log",
                [Path(job.composed.hydra.runtime.output_dir) for job in jobs],
                spans(_numbers(jobs)),
            )
            with env_override(lead.hydra.job.env_set):
                for job, job_return in zip(jobs, returns, strict=True):
                    activate(job_return.hydra_cfg)
                    callbacks.on_job_start(job.composed, task_function=self._task, fused=True)
                overrides = [job.overrides for job in jobs]
                log.info(headline(_numbers(jobs), SweepCallback.num_jobs, overrides))
                results = _train(jobs)
            for job, job_return, result in zip(jobs, returns, results, strict=True):
                activate(job_return.hydra_cfg)
                failed = isinstance(result, Exception)
                job_return.return_value = result
                job_return.status = JobStatus.FAILED if failed else JobStatus.COMPLETED
                callbacks.on_job_end(job.composed, job_return=job_return)
        finally:
            activate(cfg_before)
        return returns

    def _log_as_the_sweep(self) -> None:
        configure_log(self._sweep.hydra.hydra_logging, self._sweep.hydra.verbose)


def _check_limits(max_members: int, max_memory_mb: float) -> None:
    if max_members < 1:
        raise UserError(f"hydra.launcher.max_members={max_members}: must be a whole number ≥ 1.")
    if not max_memory_mb > 0:
        raise UserError(f"hydra.launcher.max_memory_mb={max_memory_mb}: must be a number > 0.")


def _failed(overrides: Sequence[str], error: Exception) -> JobReturn:
    """Return what is known of a job that can't be composed."""
    name = JobRuntime.instance().get("name")
    job_return = JobReturn(overrides=list(overrides), task_name=name, status=JobStatus.FAILED)
    job_return.return_value = error
    return job_return


def _by_checkpoint(jobs: Sequence[_Job]) -> list[list[_Job]]:
    """Divide the jobs: those of one checkpoint go on together, the others start."""
    found: dict[str | None, list[_Job]] = {}
    for job in jobs:
        run = SweepCallback.interrupted(job.config)
        found.setdefault(run.tags["checkpoint"] if run else None, []).append(job)
    return list(found.values())


def _completed(overrides: Sequence[str], objective: float | None) -> JobReturn:
    """Return a job that isn't trained, since it is finished or another process has it."""
    name = JobRuntime.instance().get("name")
    job_return = JobReturn(list(overrides), task_name=name, status=JobStatus.COMPLETED)
    job_return.return_value = objective
    return job_return


def _why_apart(jobs: Sequence[_Job]) -> str | None:
    """Return why jobs can't share a process, though their networks could train together."""
    settings = [job.composed.hydra.job for job in jobs]
    if any(setting.chdir for setting in settings):
        return "hydra.job.chdir gives each run a folder of its own"
    if any(setting.env_set != settings[0].env_set for setting in settings):
        return "hydra.job.env_set is not the same for all"
    return None


def _train(jobs: Sequence[_Job]) -> list[float | Exception]:
    """Train a group; return every job's objective, or what it failed of."""
    try:
        with quick_imports():
            from pipeline.training.train import Job, train_group  # imports torch and mlflow

        results = train_group(
            [Job(job.config, job.overrides, SweepCallback.interrupted(job.config)) for job in jobs],
            parent_run_id=SweepCallback.parent_run_id,
        )
    except Exception as error:
        _log_failure(f"runs {spans(_numbers(jobs))} failed", error)
        return [error] * len(jobs)
    for job, result in zip(jobs, results, strict=True):
        if isinstance(result, Exception):
            _log_failure(f"run {job.number + 1} failed", result)
    return [result if isinstance(result, Exception) else result.objective for result in results]


def _log_failure(what: str, error: Exception) -> None:
    log.error("%s: %s", what, error, exc_info=None if isinstance(error, UserError) else error)


def _numbers(jobs: Sequence[_Job]) -> list[int]:
    return [job.number for job in jobs]
