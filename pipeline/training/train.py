"""A group of runs, read top to bottom: configs, data, network, fit, evaluate, record."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from pipeline.config.schema import Config, TrainerConfig
from pipeline.data.tensors import Data, load
from pipeline.engine.evaluation import Evaluation, best_on_val, confusion_counts
from pipeline.engine.members import sort_members
from pipeline.engine.module import GroupModule
from pipeline.errors import UserError
from pipeline.tracking.locks import process_lock
from pipeline.tracking.provenance import config_hash, environment_tags, params, run_name
from pipeline.tracking.record import DatasetRecord, Record, RunResult, new_ids
from pipeline.tracking.run import LiveMetrics, TrackedRun, close_runs, start_runs
from pipeline.tracking.store import open_store
from pipeline.training.artifacts import write_configs, write_results
from pipeline.training.progress import make_progress
from pipeline.training.resumption import KeepCheckpoints, Resumption

__all__ = ["Job", "make_trainer", "train_group"]

MAX_FIGURES = 8
"""Runs of larger groups get their figures from `python -m pipeline.figures`: drawing them takes
longer than training does."""


@dataclass(frozen=True)
class Job:
    """What is known of a run before it starts."""

    config: Config
    """Checked."""
    overrides: Sequence[str]
    """What set it apart on the command line."""
    interrupted: RunResult | None = None
    """The run that it goes on with, if that left a checkpoint."""


def train_group(jobs: Sequence[Job], *, parent_run_id: str | None) -> list[RunResult | Exception]:
    """Train the jobs as one batched network; track each as one MLflow run.

    Args:
        jobs: one or more, of one group of `plan_groups`.
        parent_run_id: the MLflow run of the sweep that they belong to; None for a single run.

    Returns:
        Job by job its result, or the error of a job whose training diverged.

    Raises:
        UserError: the data, the store or the disk can't be used.
    """
    order = sort_members([job.config for job in jobs])
    members = [jobs[position] for position in order]
    configs = [member.config for member in members]
    resumption = Resumption(configs, [job.interrupted for job in members])
    open_store(configs[0].tracking, Path(configs[0].root)).remove(resumption.given_up)
    data = _load_data(configs[0])
    module = GroupModule(configs, data)
    evaluation = Evaluation(len(members))
    with _tracked_runs(jobs, order, data, parent_run_id, resumption) as runs:
        trainer = make_trainer(
            configs[0].trainer,
            [
                evaluation,
                _Log(runs, evaluation),
                make_progress(evaluation),
                KeepCheckpoints(resumption, configs[0].trainer, evaluation),
            ],
        )
        resumption.restore(runs, trainer, module, evaluation)
        started = time.perf_counter()
        trainer.fit(module)
        seconds = (time.perf_counter() - started) / len(members)
        outcomes = [
            _write_files(number, run, module, evaluation, seconds)
            for number, run in enumerate(runs)
        ]
        close_runs(runs, outcomes)
        resumption.discard()
    results = [outcome or run.record.result() for run, outcome in zip(runs, outcomes, strict=True)]
    in_job_order = sorted(zip(order, results, strict=True), key=lambda pair: pair[0])
    return [result for _, result in in_job_order]


def make_trainer(config: TrainerConfig, callbacks: Sequence[Callback] = ()) -> Trainer:
    """Return a Lightning trainer that only trains: what else happens is up to the callbacks."""
    for name in ("pytorch_lightning", "lightning_fabric"):  # devices found concern nobody
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", "`isinstance\\(treespec, LeafSpec\\)` is deprecated")
    return Trainer(
        accelerator=config.accelerator,
        devices=1,
        max_epochs=config.max_epochs,
        precision="64-true" if config.precision == "float64" else "32-true",
        deterministic=config.deterministic,
        callbacks=list(callbacks),
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )


def _load_data(config: Config) -> Data:
    """Return the data that a config asks for, in its precision."""
    return load(
        config.data.name,
        Path(config.data.root),
        num_train=config.data.num_train,
        num_val=config.data.num_val,
        download=config.data.download,
        dtype=getattr(torch, config.trainer.precision),
    )


@contextmanager
def _tracked_runs(
    jobs: Sequence[Job],
    order: Sequence[int],
    data: Data,
    parent_run_id: str | None,
    resumption: Resumption,
) -> Generator[list[TrackedRun]]:
    """Start the MLflow runs of a group's jobs, in their order, and close what an error leaves open.

    Yields:
        The members' runs, in the members' order.
    """
    ids = [resumption.run_id(order.index(position)) for position in range(len(jobs))]
    runs = start_runs(
        open_store(jobs[0].config.tracking, Path(jobs[0].config.root)),
        [
            _record(job, data, parent_run_id, resumption.name, record_id, run_id)
            for job, record_id, run_id in zip(jobs, new_ids(len(jobs)), ids, strict=True)
        ],
        offline_is_fine=parent_run_id is not None,
    )
    try:
        for job, run in zip(jobs, runs, strict=True):
            write_configs(run.artifacts, job.config, job.overrides)
        yield [runs[position] for position in order]
    except BaseException as error:
        if open_runs := [run for run in runs if run.record.status == "RUNNING"]:
            close_runs(open_runs, [error] * len(open_runs))
        raise


def _record(
    job: Job,
    data: Data,
    parent_run_id: str | None,
    checkpoint: str,
    record_id: str,
    run_id: str | None,
) -> Record:
    """Return the record of a job that starts, with all that is known of it."""
    config = job.config
    on_gpu = config.trainer.accelerator != "cpu" and torch.cuda.is_available()
    tags = {
        **config.tracking.tags,
        **environment_tags(),
        "device": torch.cuda.get_device_name() if on_gpu else "cpu",
        "config_hash": config_hash(config),
        "data_hash": data.digest,
        "checkpoint": checkpoint,
        "lock": process_lock(Path(config.root)),
    }
    if parent_run_id:
        tags["mlflow.parentRunId"] = parent_run_id
    return Record(
        experiment_name=config.tracking.experiment_name,
        name=run_name(job.overrides),
        tags=tags,
        params=params(config),
        dataset=DatasetRecord(
            data.name, data.digest, data.source, len(data.train), len(data.val), len(data.test)
        ),
        id=record_id,
        run_id=run_id,
    )


class _Log(Callback):
    """Hands every epoch's metrics to the members' tracked runs."""

    def __init__(self, runs: Sequence[TrackedRun], evaluation: Evaluation) -> None:
        self._runs = runs
        self._live = LiveMetrics(runs)
        self._evaluation = evaluation

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        del pl_module
        epoch = trainer.current_epoch + 1
        for run, epochs in zip(self._runs, self._evaluation.epochs, strict=True):
            if len(epochs) == epoch:
                run.record.log(epoch, epochs[-1])
        self._live.send_if_due()


def _write_files(
    number: int, run: TrackedRun, module: GroupModule, evaluation: Evaluation, seconds: float
) -> UserError | None:
    """Write a member's files, unless its training failed; return what it failed of.

    Args:
        number: the member's.
        run: the member's.
        module: after training.
        evaluation: of the group.
        seconds: the member's share of the time that the group trained.
    """
    if number in module.failures:
        return UserError(module.failures[number])
    epochs = evaluation.epochs[number]
    run.record.log(len(epochs), {**best_on_val(epochs), "time/fit_s": seconds})
    data = module.data
    write_results(
        run.artifacts,
        module.parameters_of(number),
        epochs,
        confusion_counts(data.test.labels, evaluation.test_predictions[number], data.num_classes),
        title=run.record.name,
        figures=len(module.configs) <= MAX_FIGURES,
    )
    return None
