"""A fused group: runs that train as one network, each tracked as a run of its own."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from pytorch_lightning import Callback, LightningModule, Trainer

from pipeline.artifacts import write_configs, write_results
from pipeline.config import Config
from pipeline.errors import UserError
from pipeline.evaluation import best_on_val, confusion_counts
from pipeline.fused_evaluation import FusedEvaluation
from pipeline.fused_module import FusedModule
from pipeline.members import sort_members
from pipeline.progress import make_progress
from pipeline.record import RunResult
from pipeline.tracked_run import LiveMetrics, TrackedRun
from pipeline.train import load_data, make_trainer, start_tracking

__all__ = ["Job", "train_group"]

MAX_PICTURES = 8
"""Runs of larger groups get their pictures from `python -m pipeline.pictures`: drawing them takes
longer than training does."""


@dataclass(frozen=True)
class Job:
    """One run of a sweep: its checked config and what set it apart on the command line."""

    config: Config
    overrides: list[str]


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
    data = load_data(members[0].config)
    module = FusedModule([member.config for member in members], data)
    evaluation = FusedEvaluation(len(members))
    open_runs: list[TrackedRun] = []
    try:
        for job in jobs:
            run = start_tracking(job.config, data, job.overrides, parent_run_id)
            open_runs.append(run)
            write_configs(run.artifacts, job.config, job.overrides)
        runs = [open_runs[position] for position in order]
        callbacks = [evaluation, _LogMembers(runs, evaluation), make_progress(evaluation)]
        started = time.perf_counter()
        make_trainer(members[0].config.trainer, callbacks).fit(module)
        seconds = time.perf_counter() - started
        outcomes: list[RunResult | Exception] = []
        for number, run in enumerate(runs):
            outcomes.append(_finish(number, run, module, evaluation, seconds))
            open_runs.remove(run)
    except BaseException as error:
        for run in open_runs:
            run.close(error)
        raise
    in_job_order = sorted(zip(order, outcomes, strict=True), key=lambda pair: pair[0])
    return [outcome for _, outcome in in_job_order]


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
        pictures=len(module.configs) <= MAX_PICTURES,
    )
    run.close(None)
    return run.record.result()
