"""hydra/launcher=ray: its settings, and the class that Hydra looks for at every start."""

from dataclasses import dataclass
from typing import Any

from hydra.core.config_store import ConfigStore

from hydra_plugins.pipeline_cluster._launcher import ClusterLauncher
from pipeline.cluster.settings import RaySettings

__all__ = ["RayLauncher", "RayLauncherConf"]


@dataclass
class RayLauncherConf(RaySettings):
    """How a sweep becomes tasks of Ray."""

    _target_: str = "hydra_plugins.pipeline_cluster.ray_launcher.RayLauncher"
    members_per_job: Any = "auto"
    """Runs of a job, ≥ 1; auto: what fills the slots and is worth a job's start."""


ConfigStore.instance().store(
    group="hydra/launcher", name="ray", node=RayLauncherConf, provider="pipeline_cluster"
)


class RayLauncher(ClusterLauncher):
    """Hands groups of runs to Ray, and watches them."""

    engine = "ray"
