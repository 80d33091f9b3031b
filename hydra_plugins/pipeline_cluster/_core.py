"""What the launchers of clusters do with a batch of jobs: check all, hand them in, report."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from hydra_plugins.pipeline_fused._core import CheckedJob, Runner
from pipeline.cluster.jobs import folder
from pipeline.cluster.slurm import Slurm, SlurmSettings
from pipeline.config.rules import require
from pipeline.engine.grouping import MAX_MEMORY_MB
from pipeline.errors import UserError
from pipeline.sweep.context import current
from pipeline.sweep.dispatch import Dispatch, Division
from pipeline.tracking.record import RunResult

__all__ = ["ClusterRunner", "check_slurm", "slurm_runner"]

BASE_MB = 1500
"""Memory of a job's process before it trains: mostly torch's own."""


class ClusterRunner(Runner):
    """Runs the jobs of a sweep on a cluster, as many at once as its sweeper asks for."""

    def __init__(
        self,
        hydra_context: HydraContext,
        task: TaskFunction,
        sweep: DictConfig,
        dispatch: Dispatch,
    ) -> None:
        """Take what Hydra gives a launcher, and what hands runs in."""
        super().__init__(hydra_context, task, sweep)
        self._dispatch = dispatch

    def run(self, job_overrides: Sequence[Sequence[str]], first: int) -> list[JobReturn]:
        """Run a batch of jobs; see also to those that an earlier command has handed in."""
        returns = super().run(job_overrides, first)
        self._dispatch.wait()
        return returns

    def _results(self, jobs: Sequence[CheckedJob]) -> list[RunResult | Exception]:
        return self._dispatch.train(
            [(job.config, self._composer.typed(job.overrides)) for job in jobs],
            [job.number for job in jobs],
        )


def slurm_runner(
    hydra_context: HydraContext, task: TaskFunction, sweep: DictConfig, said: Mapping[str, Any]
) -> ClusterRunner:
    """Return what runs jobs on the Slurm cluster of this machine.

    Args:
        hydra_context: as Hydra gives it.
        task: as Hydra gives it.
        sweep: the sweep's config.
        said: the launcher's settings.
    """
    context = current()
    assert context.sweep is not None
    settings = _slurm_settings(said)
    engine = Slurm(settings, folder(context.sweep.store.root, context.sweep.run_id))
    division = Division(
        _members(said["members_per_job"]),
        settings.array_parallelism,
        settings.cpus_per_task,
        _group_memory_mb(settings.mem_gb, settings.cpus_per_task),
    )
    dispatch = Dispatch(engine, division, context, detach=bool(said["detach"]))
    return ClusterRunner(hydra_context, task, sweep, dispatch)


def check_slurm(said: DictConfig) -> None:
    """Check the settings, and ask the cluster whether it would take such a job.

    Raises:
        UserError: naming the key, the value and what to do.
    """
    plain: Any = OmegaConf.to_container(said)
    _members(plain["members_per_job"])
    settings = _slurm_settings(plain)
    _group_memory_mb(settings.mem_gb, settings.cpus_per_task)
    Slurm(settings, Path(os.devnull)).check()


def _slurm_settings(said: Mapping[str, Any]) -> SlurmSettings:
    names = SlurmSettings.__dataclass_fields__
    settings = SlurmSettings(**{key: value for key, value in said.items() if key in names})
    for key in ("time_min", "cpus_per_task", "array_parallelism"):
        value = getattr(settings, key)
        require(value >= 1, f"hydra.launcher.{key}", value, "a whole number ≥ 1")
    for key in ("signal_delay_s", "max_requeues"):
        value = getattr(settings, key)
        require(value >= 0, f"hydra.launcher.{key}", value, "a whole number ≥ 0")
    require(
        settings.signal_delay_s < 60 * settings.time_min,
        "hydra.launcher.signal_delay_s",
        settings.signal_delay_s,
        f"less than hydra.launcher.time_min={settings.time_min} minutes",
    )
    return settings


def _members(said: object) -> int | None:
    """Return members_per_job as a number, None for auto."""
    if said == "auto":
        return None
    if isinstance(said, int) and said >= 1:
        return said
    raise UserError(f"hydra.launcher.members_per_job={said}: must be a whole number ≥ 1, or auto.")


def _group_memory_mb(mem_gb: float | None, num_groups: int) -> float:
    """Return what a group may take of a job's memory, if several train side by side."""
    if mem_gb is None:
        return MAX_MEMORY_MB
    free_mb = mem_gb * 1024 - BASE_MB
    require(
        free_mb > 0,
        "hydra.launcher.mem_gb",
        mem_gb,
        f"more than {BASE_MB / 1024:.1f}, which a job's process takes before it trains",
    )
    return free_mb / num_groups
