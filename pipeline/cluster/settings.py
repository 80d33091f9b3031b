"""What a job asks its cluster for: the keys of hydra.launcher, with their defaults."""

from dataclasses import dataclass, field
from typing import Any

__all__ = ["RaySettings", "SlurmSettings"]


@dataclass
class SlurmSettings:
    """What a job asks Slurm for; null leaves it to the cluster."""

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

    @property
    def requested(self) -> dict[str, str]:
        """The options of sbatch by which it judges whether a job can be scheduled."""
        wanted = {
            "partition": self.partition,
            "time": self.time_min,
            "cpus-per-task": self.cpus_per_task,
            "mem": None if self.mem_gb is None else f"{round(self.mem_gb * 1024)}M",
            "gres": self.gres,
            "account": self.account,
            "qos": self.qos,
            "constraint": self.constraint,
        }
        return {key: str(value) for key, value in wanted.items() if value is not None}

    def __str__(self) -> str:
        names = {"time": "time_min", "cpus-per-task": "cpus_per_task", "mem": "mem_gb"}
        said = self.requested
        return ", ".join(
            f"hydra.launcher.{names.get(key, key)}={value}"
            for key, value in {**said, **({"mem": self.mem_gb} if "mem" in said else {})}.items()
        )


@dataclass
class RaySettings:
    """Where the Ray cluster is, and what a job asks it for."""

    address: str | None = None
    """HOST:PORT that `ray start --head` has printed; null: RAY_ADDRESS, or else this machine."""
    num_cpus: int = 1
    """Cores of a job, ≥ 1, each of which trains a group."""
    num_gpus: float = 0.0
    """GPUs of a job, ≥ 0."""
    mem_gb: float | None = 4.0
    """Memory of a job, > 1; its groups are as large as that allows. null: not asked for."""
