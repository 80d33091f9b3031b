"""hydra/launcher=slurm: its settings, and the class that Hydra looks for at every start."""

from dataclasses import dataclass
from typing import Any

from hydra.core.config_store import ConfigStore

from hydra_plugins.pipeline_cluster._launcher import ClusterLauncher
from pipeline.cluster.settings import SlurmSettings

__all__ = ["SlurmLauncher", "SlurmLauncherConf"]


@dataclass
class SlurmLauncherConf(SlurmSettings):
    """How a sweep becomes jobs of Slurm."""

    _target_: str = "hydra_plugins.pipeline_cluster.slurm_launcher.SlurmLauncher"
    members_per_job: Any = "auto"
    """Runs of a job, ≥ 1; auto: what fills the slots and is worth a job's start."""
    detach: bool = False
    """Leave the jobs to themselves; `python -m pipeline.watch`, or resume=last, finds them."""


ConfigStore.instance().store(
    group="hydra/launcher", name="slurm", node=SlurmLauncherConf, provider="pipeline_cluster"
)


class SlurmLauncher(ClusterLauncher):
    """Hands groups of runs to Slurm, and watches them."""

    engine = "slurm"
