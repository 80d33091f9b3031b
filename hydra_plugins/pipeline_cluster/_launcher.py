"""What the launchers of clusters have in common; light, since Hydra imports it at every start."""

from abc import ABC
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

if TYPE_CHECKING:
    from hydra_plugins.pipeline_cluster._core import ClusterRunner

__all__ = ["ClusterLauncher"]


class ClusterLauncher(Launcher, ABC):
    """Hands groups of runs to a cluster, and watches them."""

    engine: ClassVar[str]
    """Its name."""

    def __init__(self, **settings: Any) -> None:
        self._settings = settings
        self._runner: ClusterRunner | None = None

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Take what the sweeper knows."""
        from hydra_plugins.pipeline_cluster import _core

        self._runner = _core.make_runner(
            self.engine, self._settings, hydra_context, task_function, config
        )

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run a batch of jobs; see `FusedLauncher.launch`."""
        assert self._runner is not None
        return self._runner.run(job_overrides, initial_job_idx)

    @classmethod
    def check(cls, settings: DictConfig) -> None:
        """Check the settings, and ask the cluster whether it would take such a job.

        Raises:
            UserError: naming the key, the value and what to do.
        """
        from hydra_plugins.pipeline_cluster import _core

        _core.check(cls.engine, settings)
