"""hydra/launcher=fused: its settings, and the class that Hydra looks for at every start."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from pipeline.engine.grouping import MAX_MEMBERS, MAX_MEMORY_MB

if TYPE_CHECKING:
    from hydra_plugins.pipeline_fused._core import FusedRunner

__all__ = ["FusedLauncher", "FusedLauncherConf"]


@dataclass
class FusedLauncherConf:
    """How many runs train together, and how many groups side by side, at most."""

    _target_: str = "hydra_plugins.pipeline_fused.fused_launcher.FusedLauncher"
    max_members: int = MAX_MEMBERS
    """Runs in one group, ≥ 1."""
    max_memory_mb: float = MAX_MEMORY_MB
    """For the weights, gradients, optimizer state and activations of one group, > 0."""
    num_workers: int | None = None
    """Processes that train groups side by side, ≥ 1; null for one per core, or per GPU."""


ConfigStore.instance().store(
    group="hydra/launcher", name="fused", node=FusedLauncherConf, provider="pipeline_fused"
)


class FusedLauncher(Launcher):
    """Trains the runs of a batch together where they differ only in numbers."""

    def __init__(self, max_members: int, max_memory_mb: float, num_workers: int | None) -> None:
        self._limits = max_members, max_memory_mb, num_workers
        self._runner: FusedRunner | None = None

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Take what the sweeper knows."""
        from hydra_plugins.pipeline_fused import _core  # Hydra imports this module at every start

        self._runner = _core.FusedRunner(hydra_context, task_function, config, *self._limits)

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run a batch of jobs.

        Args:
            job_overrides: of every job.
            initial_job_idx: the first job's number in the sweep.

        Returns:
            One return per job, in order; a job that can't be composed or trained is FAILED.
        """
        assert self._runner is not None
        return self._runner.run(job_overrides, initial_job_idx)
