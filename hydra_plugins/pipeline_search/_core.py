"""What the sweeper of searches does: ask for a batch, train it, tell what came of it."""

from __future__ import annotations

from pathlib import Path

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig, OmegaConf

from pipeline.sweep.context import current

__all__ = ["search"]


def search(launcher: Launcher, config: DictConfig) -> list[float | None]:
    """Train the trials of the study that this process has opened, until none is left.

    Args:
        launcher: that trains a batch.
        config: of the sweep.

    Returns:
        The objective of every trial that was trained, None of those that failed.
    """
    sweep = current().sweep
    assert sweep is not None
    assert sweep.study is not None
    folder = Path(str(config.hydra.sweep.dir))
    folder.mkdir(parents=True, exist_ok=True)
    OmegaConf.save(config, folder / "multirun.yaml")
    reached: list[float | None] = []
    while batch := sweep.study.ask():
        jobs = [trial.overrides for trial in batch]
        returns = launcher.launch(jobs, initial_job_idx=batch[0].number)
        objectives = [_objective(job_return) for job_return in returns]
        sweep.study.tell(batch, objectives)
        reached += objectives
    return reached


def _objective(job_return: JobReturn) -> float | None:
    """Return what a job reached; None if it failed."""
    return job_return.return_value if job_return.status is JobStatus.COMPLETED else None
