"""hydra/launcher=ray: its settings, and the class that Hydra looks for at every start."""

from dataclasses import dataclass
from typing import Any

from hydra.core.config_store import ConfigStore

from hydra_plugins.pipeline_cluster._launcher import ClusterLauncher

__all__ = ["RayLauncher", "RayLauncherConf"]


@dataclass
class RayLauncherConf:
    """Where the Ray cluster is, and what a job of a group of runs asks it for."""

    _target_: str = "hydra_plugins.pipeline_cluster.ray_launcher.RayLauncher"
    members_per_job: Any = "auto"
    """Runs of a job, ≥ 1; auto: what fills the slots and is worth a job's start."""
    address: str | None = None
    """HOST:PORT that `ray start --head` has printed; null: RAY_ADDRESS, or else this machine."""
    num_cpus: int = 1
    """Cores of a job, ≥ 1, each of which trains a group."""
    num_gpus: float = 0.0
    """GPUs of a job, ≥ 0."""
    mem_gb: float | None = 4.0
    """Memory of a job, > 1; its groups are as large as that allows. null: not asked for."""


ConfigStore.instance().store(
    group="hydra/launcher", name="ray", node=RayLauncherConf, provider="pipeline_cluster"
)


class RayLauncher(ClusterLauncher):
    """Hands groups of runs to Ray, and watches them."""

    engine = "ray"
