"""What the launchers of clusters do with a batch of jobs: check all, hand them in, report."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from inspect import signature
from pathlib import Path
from typing import Any, TypeVar

from hydra.core.utils import JobReturn
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from hydra_plugins.pipeline_fused._core import CheckedJob, Runner
from pipeline.cluster.jobs import folder
from pipeline.cluster.ray import Ray
from pipeline.cluster.settings import RaySettings, SlurmSettings
from pipeline.cluster.slurm import Slurm
from pipeline.config.rules import require
from pipeline.engine.grouping import MAX_MEMORY_MB
from pipeline.errors import UserError
from pipeline.sweep.context import current
from pipeline.sweep.dispatch import Dispatch, Division
from pipeline.tracking.record import RunResult

__all__ = ["ClusterRunner", "check", "make_runner"]

T = TypeVar("T")

NOWHERE = Path(os.devnull)
"""The folder of an engine that is only asked."""

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


def make_runner(
    name: str,
    said: Mapping[str, Any],
    hydra_context: HydraContext,
    task: TaskFunction,
    sweep: DictConfig,
) -> ClusterRunner:
    """Return what runs the jobs of the current sweep on a cluster.

    Args:
        name: of the engine.
        said: the launcher's settings.
        hydra_context: as Hydra gives it, like the next two.
        task: see there.
        sweep: the sweep's config.
    """
    context = current()
    assert context.sweep is not None
    where = folder(context.sweep.store.root, context.sweep.run_id)
    engine = _slurm(said, where) if name == Slurm.name else _ray(said, where)
    division = Division(
        _members(said["members_per_job"]),
        engine.num_slots(),
        _num_cpus(said),
        _group_memory_mb(said["mem_gb"], _num_cpus(said)),
    )
    dispatch = Dispatch(engine, division, context, detach=bool(said.get("detach")))
    return ClusterRunner(hydra_context, task, sweep, dispatch)


def check(name: str, said: DictConfig) -> None:
    """Check the settings of a launcher, and ask the cluster whether it would take such a job.

    Raises:
        UserError: naming the key, the value and what to do.
    """
    plain: Any = OmegaConf.to_container(said)
    _members(plain["members_per_job"])
    _group_memory_mb(plain["mem_gb"], _num_cpus(plain))
    engine = _slurm(plain, NOWHERE) if name == Slurm.name else _ray(plain, NOWHERE)
    engine.check()


def _num_cpus(said: Mapping[str, Any]) -> int:
    """Return the cores of a job, which each engine calls by its own name."""
    key = "cpus_per_task" if "cpus_per_task" in said else "num_cpus"
    return _at_least(1, key, said)


def _at_least(least: int, key: str, said: Mapping[str, Any]) -> int:
    require(said[key] >= least, f"hydra.launcher.{key}", said[key], f"a number ≥ {least}")
    return said[key]


def _slurm(said: Mapping[str, Any], where: Path) -> Slurm:
    for key in ("time_min", "array_parallelism"):
        _at_least(1, key, said)
    for key in ("signal_delay_s", "max_requeues"):
        _at_least(0, key, said)
    require(
        said["signal_delay_s"] < 60 * said["time_min"],
        "hydra.launcher.signal_delay_s",
        said["signal_delay_s"],
        f"less than the {60 * said['time_min']} s of hydra.launcher.time_min={said['time_min']}",
    )
    return Slurm(_settings(SlurmSettings, said), where)


def _ray(said: Mapping[str, Any], where: Path) -> Ray:
    _at_least(0, "num_gpus", said)
    return Ray(_settings(RaySettings, said), where)


def _settings(kind: Callable[..., T], said: Mapping[str, Any]) -> T:
    """Return an engine's settings: those of its launcher's that it knows."""
    known = signature(kind).parameters
    return kind(**{key: value for key, value in said.items() if key in known})


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
