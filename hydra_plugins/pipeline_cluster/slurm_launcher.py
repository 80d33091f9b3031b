"""hydra/launcher=slurm: its settings, and the class that Hydra looks for at every start."""

from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore

from hydra_plugins.pipeline_cluster._launcher import ClusterLauncher

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


class SlurmLauncher(ClusterLauncher):
    """Hands groups of runs to Slurm, and watches them."""

    engine = "slurm"
