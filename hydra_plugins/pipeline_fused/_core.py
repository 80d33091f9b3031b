"""What the fused launcher does with a batch of jobs: check all, train, report."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
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
from hydra.experimental.callback import Callback
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from pipeline.config.compose import without_hydra
from pipeline.config.composer import Composer
from pipeline.config.explain import CONFIG_ERRORS, explain
from pipeline.config.schema import Config
from pipeline.errors import UserError
from pipeline.process import quick_imports
from pipeline.sweep.context import current
from pipeline.sweep.headline import headline, spans
from pipeline.sweep.hydra_callback import SweepCallback
from pipeline.tracking.record import RunResult

__all__ = ["CheckedJob", "FusedRunner", "Runner"]

log = logging.getLogger("pipeline")


@dataclass(frozen=True)
class CheckedJob:
    """One job: its number in the sweep, what sets it apart, and its checked config."""

    number: int
    overrides: Sequence[str]
    config: Config


class Runner(ABC):
    """Runs the jobs of a sweep, as many at once as its sweeper asks for."""

    def __init__(self, hydra_context: HydraContext, task: TaskFunction, sweep: DictConfig) -> None:
        """Take what Hydra gives a launcher."""
        self._callbacks = hydra_context.callbacks
        self._task = task
        self._sweep = sweep
        self._context = current()
        self._composer = self._context.composer or Composer(hydra_context.config_loader, sweep)
        callbacks = cast("list[Callback]", self._callbacks.callbacks)
        self._is_watched = not all(isinstance(it, SweepCallback) for it in callbacks)

    def run(self, job_overrides: Sequence[Sequence[str]], first: int) -> list[JobReturn]:
        """Run a batch of jobs; see `FusedLauncher.launch`."""
        setup_globals()
        self._log_as_the_sweep()
        Path(str(self._sweep.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
        jobs, returns = self._check_all(job_overrides, first)
        for together in self._apart(jobs):
            for job, job_return in zip(together, self._run_together(together), strict=True):
                returns[job.number] = job_return
        return [returns[number] for number in sorted(returns)]

    def _check_all(
        self, job_overrides: Sequence[Sequence[str]], first: int
    ) -> tuple[list[CheckedJob], dict[int, JobReturn]]:
        """Return the jobs to train, and the returns of the finished ones and the bad ones."""
        jobs: list[CheckedJob] = []
        returns: dict[int, JobReturn] = {}
        with quick_imports():  # there is no garbage here either
            for number, overrides in enumerate(job_overrides, first):
                try:
                    config = self._composer.check(overrides)
                except CONFIG_ERRORS as error:
                    log.error("run %d can't start: %s", number + 1, explain(error))  # noqa: TRY400  (it says all)
                    returns[number] = _ended(_new_return(overrides), error)
                    continue
                done = self._context.done(config)
                if done is None:
                    jobs.append(CheckedJob(number, overrides, config))
                else:
                    returns[number] = _ended(_new_return(overrides), done.objective)
        return jobs, returns

    def _apart(self, jobs: list[CheckedJob]) -> list[list[CheckedJob]]:
        """Divide the jobs into such that can share a process; say why if none can."""
        leads = {self._composer.choices(job.overrides): job for job in jobs}
        settings = [self._compose(job).hydra.job for job in leads.values()]
        texts = {OmegaConf.to_yaml(setting.env_set, resolve=False) for setting in settings}
        if any(setting.chdir for setting in settings):
            reason = "hydra.job.chdir gives each run a folder of its own"
        elif len(texts) > 1 or any("${" in text for text in texts):
            reason = "hydra.job.env_set is not the same for all"
        else:
            return [jobs] if jobs else []
        if len(jobs) > 1:
            numbers = spans([job.number for job in jobs])
            log.info("runs %s train one by one: %s", numbers, reason)
        return [[job] for job in jobs]

    def _compose(self, job: CheckedJob) -> DictConfig:
        composed = self._composer.compose(job.overrides)
        with open_dict(composed):
            composed.hydra.job.id = job.number
            composed.hydra.job.num = job.number
        return composed

    def _run_together(self, jobs: Sequence[CheckedJob]) -> list[JobReturn]:
        """Do for several jobs what Hydra's run_job does for one.

        Composing all of a job takes milliseconds, so only the first one is, and all if a callback
        that isn't ours wants to see them.
        """
        hydra_cfg_before = cast("DictConfig | None", HydraConfig.instance().cfg)
        seen = jobs if self._is_watched else jobs[:1]
        returns = [_new_return(job.overrides) for job in jobs]
        try:
            with quick_imports():  # there is no garbage here either
                composed = [self._compose(job) for job in seen]
                for config, job_return in zip(composed, returns, strict=False):
                    _begin(config, job_return)
            _configure_log(composed[0])
            with _working_folder(composed[0]):
                with env_override(composed[0].hydra.job.env_set):
                    self._start(composed, returns)
                    results = self._train(jobs)
                for job_return, result in zip(returns, results, strict=True):
                    _ended(job_return, result)
                self._end(composed, returns)
        finally:
            _activate(hydra_cfg_before)
            self._log_as_the_sweep()
        return returns

    def _start(self, composed: Sequence[DictConfig], returns: Sequence[JobReturn]) -> None:
        for config, job_return in zip(composed, returns, strict=False):
            _activate(job_return.hydra_cfg)
            job_return.working_dir = str(Path.cwd())
            self._callbacks.on_job_start(config, task_function=self._task, fused=True)

    def _end(self, composed: Sequence[DictConfig], returns: Sequence[JobReturn]) -> None:
        for config, job_return in zip(composed, returns, strict=False):
            _activate(job_return.hydra_cfg)
            self._callbacks.on_job_end(config, job_return=job_return)

    def _train(self, jobs: Sequence[CheckedJob]) -> list[float | Exception | None]:
        """Train jobs; return every job's objective, or what it failed of."""
        results = self._results(jobs)
        _log_failures([job.number for job in jobs], results)
        return [it if isinstance(it, Exception) else it.objective for it in results]

    @abstractmethod
    def _results(self, jobs: Sequence[CheckedJob]) -> list[RunResult | Exception]:
        """Train jobs; return the result of each, or what it failed of."""

    def _log_as_the_sweep(self) -> None:
        configure_log(self._sweep.hydra.hydra_logging, self._sweep.hydra.verbose)


class FusedRunner(Runner):
    """Trains the jobs of a sweep in groups on this machine."""

    def __init__(
        self,
        hydra_context: HydraContext,
        task: TaskFunction,
        sweep: DictConfig,
        max_members: int,
        max_memory_mb: float,
        num_workers: int | None,
    ) -> None:
        """Take what Hydra gives a launcher, and the launcher's own settings.

        Raises:
            UserError: the limits are out of their ranges.
        """
        super().__init__(hydra_context, task, sweep)
        _check_limits(max_members, max_memory_mb, num_workers)
        self._limits = {
            "max_members": max_members,
            "max_memory_mb": max_memory_mb,
            "num_workers": num_workers,
        }

    def _results(self, jobs: Sequence[CheckedJob]) -> list[RunResult | Exception]:
        overrides = [self._composer.typed(job.overrides) for job in jobs]

        def say(positions: list[int]) -> None:
            numbers = [jobs[position].number for position in positions]
            typed = [overrides[position] for position in positions]
            goes_on = self._context.interrupted(jobs[positions[0]].config) is not None
            log.info(headline(numbers, self._context.num_jobs, typed, goes_on=goes_on))

        pairs = [(job.config, typed) for job, typed in zip(jobs, overrides, strict=True)]
        return self._context.train(pairs, on_start=say, **self._limits)


def _check_limits(max_members: int, max_memory_mb: float, num_workers: int | None) -> None:
    if max_members < 1:
        raise UserError(f"hydra.launcher.max_members={max_members}: must be a whole number ≥ 1.")
    if not max_memory_mb > 0:
        raise UserError(f"hydra.launcher.max_memory_mb={max_memory_mb}: must be a number > 0.")
    if num_workers is not None and num_workers < 1:
        raise UserError(
            f"hydra.launcher.num_workers={num_workers}: must be a whole number ≥ 1, or null for "
            "one per core, or per GPU."
        )


def _begin(composed: DictConfig, job_return: JobReturn) -> None:
    """Note what is known of a job before it has run."""
    hydra = composed.hydra
    hydra_cfg = _hydra_part(composed)
    _activate(hydra_cfg)  # the folder's name may ask for it
    folder = Path(str(hydra.sweep.dir)) / str(hydra.sweep.subdir)
    with read_write(hydra.runtime), open_dict(hydra.runtime):
        hydra.runtime.output_dir = str(folder.absolute())
    job_return.overrides = list(hydra.overrides.task)
    job_return.cfg, job_return.hydra_cfg = without_hydra(composed), hydra_cfg


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
