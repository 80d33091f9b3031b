"""A piece of a sweep: what one job of a cluster trains, wherever and however often it starts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.config.schema import Config
from pipeline.process import quick_imports
from pipeline.sweep.plan import make_plan
from pipeline.tracking.locks import heartbeats_in
from pipeline.tracking.provenance import config_hash

__all__ = ["Piece"]


@dataclass(frozen=True)
class Piece:
    """Runs that one job trains. It can be pickled, and done again after it was interrupted."""

    jobs: list[tuple[Config, list[str]]]
    """Config and overrides of each run."""
    fixed: frozenset[str]
    """The overrides that all runs of the sweep have."""
    parent_run_id: str
    """The sweep's MLflow run."""
    num_workers: int | None
    """Processes that train side by side; None for one per core."""
    max_memory_mb: float
    """Memory of one group, > 0."""

    def __call__(self) -> None:
        """Train what of the piece isn't finished.

        What an earlier try of this job has begun goes on from its checkpoint, in the same MLflow
        runs. The numbers of a run that fails are in the store, like those of any other.
        """
        with quick_imports():
            from pipeline.tracking.store import open_store
            from pipeline.training.train import Job, train_runs

        first = self.jobs[0][0]
        store = open_store(first.tracking, Path(first.root))
        keys = [config_hash(config) for config, _ in self.jobs]
        cells = {key: config for key, (config, _) in zip(keys, self.jobs, strict=True)}
        runs, heartbeats = store.children(self.parent_run_id), heartbeats_in(store)
        plan = make_plan(cells, runs, owned=True, heartbeats=heartbeats)
        store.remove(plan.dead)
        members = [
            Job(config, overrides, self.fixed, plan.continued.get(key))
            for (config, overrides), key in zip(self.jobs, keys, strict=True)
            if key not in plan.finished and key not in plan.running
        ]
        if members:
            train_runs(
                members,
                parent_run_id=self.parent_run_id,
                max_memory_mb=self.max_memory_mb,
                num_workers=self.num_workers,
            )
