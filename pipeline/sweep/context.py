"""What a job has to know of the sweep that it belongs to, in whichever process it runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from pipeline.config.composer import Composer
from pipeline.config.schema import Config
from pipeline.process import quick_imports
from pipeline.sweep.plan import Plan
from pipeline.tracking.provenance import config_hash
from pipeline.tracking.record import RunResult

if TYPE_CHECKING:
    from pipeline.sweep.sweep import Sweep

__all__ = ["Done", "SweepContext", "current", "enter"]


@dataclass(frozen=True)
class Done:
    """A job that isn't trained: its result is there, or another process is working on it."""

    objective: float | None
    """What the sweeper gets; None if nobody knows it yet."""


@dataclass(frozen=True)
class SweepContext:
    """A sweep as its jobs see it; the default is that of a single run, which belongs to none."""

    parent_run_id: str | None = None
    """The sweep's MLflow run."""
    num_jobs: int | None = None
    """None if nobody knows yet."""
    plan: Plan = field(default_factory=Plan)
    """What of the sweep is finished already, or runs elsewhere."""
    fixed: frozenset[str] = frozenset()
    """The overrides that all its jobs have."""
    sweep: Sweep | None = None
    """Only in the process that started the sweep, as is the next."""
    composer: Composer | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Return what travels to the workers of a parallel launcher."""
        return vars(replace(self, sweep=None, composer=None))

    def done(self, config: Config) -> Done | None:
        """Return what is known of a job that isn't trained, None of one that is."""
        if not self.plan.finished and not self.plan.running:
            return None
        key = config_hash(config)
        if key in self.plan.running:
            return Done(None)
        finished = self.plan.finished.get(key)
        return Done(finished.objective) if finished else None

    def interrupted(self, config: Config) -> RunResult | None:
        """Return the run that a job goes on with, if there is one with a checkpoint."""
        return self.plan.continued.get(config_hash(config)) if self.plan.continued else None

    def train(
        self, jobs: Sequence[tuple[Config, list[str]]], **options: Any
    ) -> list[RunResult | Exception]:
        """Train jobs, together where that is possible.

        Args:
            jobs: config and overrides of each.
            options: see `train_runs`.

        Returns:
            Job by job its result, or what it failed of.
        """
        with quick_imports():
            from pipeline.training.group import Job  # imports torch and mlflow
            from pipeline.training.train import train_runs

        members = [
            Job(config, overrides, self.fixed, self.interrupted(config))
            for config, overrides in jobs
        ]
        study = self.sweep.study if self.sweep else None
        judge = study.judge([config for config, _ in jobs]) if study else None
        return train_runs(members, parent_run_id=self.parent_run_id, judge=judge, **options)


_current = SweepContext()


def enter(context: SweepContext) -> None:
    """Let the jobs that run in this process from now on belong to a sweep."""
    global _current
    _current = context


def current() -> SweepContext:
    """Return the context of the jobs of this process."""
    return _current
