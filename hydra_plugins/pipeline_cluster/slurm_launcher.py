"""hydra/launcher=slurm: its settings, and the class that Hydra looks for at every start."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

if TYPE_CHECKING:
    from hydra_plugins.pipeline_cluster._core import ClusterRunner

__all__ = ["SlurmLauncher", "SlurmLauncherConf"]


@dataclass
class SlurmLauncherConf:
    """What a job of a group of runs asks Slurm for; null leaves it to the cluster."""

    _target_: str = "hydra_plugins.pipeline_cluster.slurm_launcher.SlurmLauncher"
    members_per_job: Any = "auto"
    """Runs of a job, ≥ 1; auto: what fills the slots and is worth a job's start."""
    detach: bool = False
    """Leave the jobs to themselves; `python -m pipeline.watch`, or resume=last, finds them."""
    partition: str | None = None
    time_min: int = 60
    """Minutes after which Slurm ends a job, ≥ 1; it is queued again and goes on."""
    cpus_per_task: int = 1
    """Cores of a job, ≥ 1, each of which trains a group."""
    mem_gb: float | None = 4.0
    """Memory of a job, > 1; its groups are as large as that allows."""
    gres: str | None = None
    """Such as gpu:1."""
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    signal_delay_s: int = 120
    """Seconds before its end at which a job is told to leave a checkpoint; an epoch takes less."""
    max_requeues: int = 100
    """How often a job is queued again because its time was over, ≥ 0."""
    array_parallelism: int = 256
    """Jobs at the same time, ≥ 1."""
    setup: list[str] = field(default_factory=list[str])
    """Lines of the shell that run before a job, such as module load."""
    srun_args: list[str] = field(default_factory=list[str])
    """Such as --container-image=…"""
    python: str | None = None
    """How Python is called on a node, such as `apptainer exec image.sif python`; null: as here."""
    more: dict[str, Any] = field(default_factory=dict[str, Any])
    """Other options of sbatch."""


ConfigStore.instance().store(
    group="hydra/launcher", name="slurm", node=SlurmLauncherConf, provider="pipeline_cluster"
)


class SlurmLauncher(Launcher):
    """Hands groups of runs to Slurm, and watches them."""

    def __init__(self, **settings: Any) -> None:
        self._settings = settings
        self._runner: ClusterRunner | None = None

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Take what the sweeper knows."""
        from hydra_plugins.pipeline_cluster import _core  # Hydra imports this at every start

        self._runner = _core.slurm_runner(hydra_context, task_function, config, self._settings)

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run a batch of jobs; see `FusedLauncher.launch`."""
        assert self._runner is not None
        return self._runner.run(job_overrides, initial_job_idx)

    @staticmethod
    def check(settings: DictConfig) -> None:
        """Check the settings, and ask the cluster whether it would take such a job.

        Raises:
            UserError: naming the key, the value and what to do.
        """
        from hydra_plugins.pipeline_cluster import _core

        _core.check_slurm(settings)
