"""A fused group: runs that train as one network, each tracked as a run of its own."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pytorch_lightning import Callback, LightningModule, Trainer

from pipeline.config.schema import Config
from pipeline.engine.evaluation import best_on_val, confusion_counts
from pipeline.engine.fused_evaluation import FusedEvaluation
from pipeline.engine.fused_module import FusedModule
from pipeline.engine.members import sort_members
from pipeline.errors import UserError
from pipeline.tracking.record import RunResult
from pipeline.tracking.run import LiveMetrics, TrackedRun
from pipeline.tracking.store import open_store
from pipeline.training.artifacts import write_configs, write_results
from pipeline.training.progress import make_progress
from pipeline.training.resumption import KeepCheckpoints, Resumption, go_on_from, restore
from pipeline.training.train import load_data, make_trainer, start_tracking

__all__ = ["Job", "train_group"]

MAX_FIGURES = 8
"""Runs of larger groups get their figures from `python -m pipeline.figures`: drawing them takes
longer than training does."""


@dataclass(frozen=True)
class Job:
    """One run of a sweep: its checked config and what set it apart on the command line."""

    config: Config
    overrides: list[str]
    interrupted: RunResult | None = None
    """The run that it goes on with, if it left a checkpoint."""


def train_group(jobs: Sequence[Job], *, parent_run_id: str | None) -> list[RunResult | Exception]:
    """Train the jobs as one batched network; track each as one MLflow run.

    Args:
        jobs: of one group of `plan_groups`.
        parent_run_id: the MLflow run of the sweep that they belong to.

    Returns:
        Job by job its result, or the error of a job whose training diverged.
    """
    order = sort_members([job.config for job in jobs])
    members = [jobs[position] for position in order]
    configs = [member.config for member in members]
    interrupted = [member.interrupted for member in members if member.interrupted]
    resumption = Resumption(configs, interrupted, fused=True)
    open_store(configs[0].tracking, Path(configs[0].root)).remove(resumption.given_up)
    data = load_data(configs[0])
    module = FusedModule(configs, data)
    evaluation = FusedEvaluation(len(members))
    open_runs: list[TrackedRun] = []
    try:
        for position, job in enumerate(jobs):
            run = start_tracking(
                job.config,
                data,
                job.overrides,
                parent_run_id,
                checkpoint=resumption.name,
                run_id=resumption.run_id(order.index(position)),
            )
            open_runs.append(run)
            write_configs(run.artifacts, job.config, job.overrides)
        runs = [open_runs[position] for position in order]
        trainer = _make_group_trainer(module, evaluation, runs, resumption)
        started = time.perf_counter()
        trainer.fit(module)
        seconds = time.perf_counter() - started
        outcomes: list[RunResult | Exception] = []
        for number, run in enumerate(runs):
            outcomes.append(_finish(number, run, module, evaluation, seconds))
            open_runs.remove(run)
        resumption.discard()
    except BaseException as error:
        for run in open_runs:
            run.close(error)
        raise
    in_job_order = sorted(zip(order, outcomes, strict=True), key=lambda pair: pair[0])
    return [outcome for _, outcome in in_job_order]


def _make_group_trainer(
    module: FusedModule,
    evaluation: FusedEvaluation,
    runs: Sequence[TrackedRun],
    resumption: Resumption,
) -> Trainer:
    """Return the trainer, at the epoch where the group was interrupted if it did."""
    config = module.configs[0].trainer
    keep = KeepCheckpoints(
        resumption,
        config,
        lambda: resumption.notes(evaluation.epochs, module.failures),
        lambda state: module.load_state(state, resumption.rows),
    )
    log_members = _LogMembers(runs, evaluation)
    trainer = make_trainer(config, [evaluation, log_members, make_progress(evaluation), keep])
    if resumption.start:
        evaluation.epochs = resumption.epochs
        module.failures = resumption.failures
        for run, epochs in zip(runs, evaluation.epochs, strict=True):
            restore(run, epochs)
        go_on_from(trainer, evaluation.epochs[0])
    return trainer


class _LogMembers(Callback):
    """Hands every epoch's metrics to the members' tracked runs."""

    def __init__(self, runs: Sequence[TrackedRun], evaluation: FusedEvaluation) -> None:
        self._runs = runs
        self._live = LiveMetrics(runs)
        self._evaluation = evaluation

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, FusedModule)
        for number, run in enumerate(self._runs):
            if number not in pl_module.failures:
                run.record.log(trainer.current_epoch + 1, self._evaluation.epochs[number][-1])
        self._live.send_if_due()


def _finish(
    number: int,
    run: TrackedRun,
    module: FusedModule,
    evaluation: FusedEvaluation,
    seconds: float,
) -> RunResult | Exception:
    """Write a member's files, end its run and return what came of it.

    Args:
        number: the member's.
        run: the member's.
        module: after training.
        evaluation: of the group.
        seconds: that the group trained; a member's share of them is recorded.
    """
    if number in module.failures:
        error = UserError(module.failures[number])
        run.close(error)
        return error
    epochs = evaluation.epochs[number]
    share = {"time/fit_s": seconds / len(module.configs)}
    run.record.log(len(epochs), {**best_on_val(epochs), **share})
    write_results(
        run.artifacts,
        [
            (weights[number], biases[number])
            for weights, biases in zip(module.weights, module.biases, strict=True)
        ],
        epochs,
        confusion_counts(
            module.data.test.labels, evaluation.test_predictions[number], module.data.num_classes
        ),
        title=run.record.name,
        figures=len(module.configs) <= MAX_FIGURES,
    )
    run.close(None)
    return run.record.result()
