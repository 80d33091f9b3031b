"""One run, read top to bottom: config, data, model, fit, evaluate, record."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import EarlyStopping

from pipeline.config.schema import Config, TrainerConfig
from pipeline.data.tensors import Data, load
from pipeline.engine.evaluation import Evaluation, best_on_val, confusion_counts
from pipeline.engine.module import ClassifierModule
from pipeline.tracking.locks import process_lock
from pipeline.tracking.provenance import config_hash, environment_tags, params, run_name
from pipeline.tracking.record import DatasetRecord, RunResult
from pipeline.tracking.run import LiveMetrics, TrackedRun, closing, start_run
from pipeline.tracking.store import open_store
from pipeline.training.artifacts import write_configs, write_results
from pipeline.training.progress import make_progress
from pipeline.training.resumption import KeepCheckpoints, Resumption, go_on_from, restore

__all__ = ["load_data", "make_trainer", "start_tracking", "train"]


def train(
    config: Config,
    *,
    overrides: Sequence[str] = (),
    parent_run_id: str | None = None,
    interrupted: RunResult | None = None,
) -> RunResult:
    """Train one network as the config says and track it as one MLflow run.

    Args:
        config: a checked config.
        overrides: what the user typed; kept with the run.
        parent_run_id: the MLflow run of the sweep that this run belongs to.
        interrupted: the run that this one goes on with, if it left a checkpoint.

    Returns:
        The run's id, status, params and last metrics.

    Raises:
        UserError: training diverged, or the data or the store can't be used.
    """
    data = load_data(config)
    module = ClassifierModule(config, data)
    evaluation = Evaluation()
    resumption = Resumption([config], [interrupted] if interrupted else [], fused=False)
    open_store(config.tracking, Path(config.root)).remove(resumption.given_up)
    tracked = start_tracking(
        config,
        data,
        overrides,
        parent_run_id,
        checkpoint=resumption.name,
        run_id=resumption.run_id(0),
    )
    with closing(tracked) as run:
        write_configs(run.artifacts, config, overrides)
        keep = KeepCheckpoints(
            resumption,
            config.trainer,
            lambda: resumption.notes([evaluation.epochs], {}),
            module.load_state,
        )
        trainer = make_trainer(config.trainer, [evaluation, _Log(run, evaluation), keep])
        if resumption.start:
            (evaluation.epochs,) = resumption.epochs
            restore(run, evaluation.epochs)
            go_on_from(trainer, evaluation.epochs)
        started = time.perf_counter()
        trainer.fit(module)
        seconds = time.perf_counter() - started
        epochs = evaluation.epochs
        run.record.log(len(epochs), {**best_on_val(epochs), "time/fit_s": seconds})
        write_results(
            run.artifacts,
            list(zip(module.network.weights, module.network.biases, strict=True)),
            epochs,
            confusion_counts(
                module.data.test.labels, evaluation.test_predictions, data.num_classes
            ),
            title=run.record.name,
            figures=True,
        )
    resumption.discard()
    return run.record.result()


def make_trainer(config: TrainerConfig, callbacks: Sequence[Callback] = ()) -> Trainer:
    """Return a Lightning trainer that only trains: what else happens is up to the callbacks.

    Callbacks run in their order; an `Evaluation` among them is followed by progress and, if the
    config asks for it, by early stopping.
    """
    _quiet_lightning()
    chosen = list(callbacks)
    chosen += [make_progress(entry) for entry in callbacks if isinstance(entry, Evaluation)]
    if config.early_stopping:
        chosen.append(EarlyStopping("val/loss", patience=config.patience, mode="min"))
    return Trainer(
        accelerator=config.accelerator,
        devices=1,
        max_epochs=config.max_epochs,
        precision="64-true" if config.precision == "float64" else "32-true",
        deterministic=config.deterministic,
        callbacks=chosen,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )


def _quiet_lightning() -> None:
    """Keep what doesn't concern users off the terminal: devices found, torch's own deprecations."""
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", "`isinstance\\(treespec, LeafSpec\\)` is deprecated")


class _Log(Callback):
    """Hands every epoch's metrics to the tracked run."""

    def __init__(self, run: TrackedRun, evaluation: Evaluation) -> None:
        self._record = run.record
        self._live = LiveMetrics([run])
        self._evaluation = evaluation

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        del pl_module
        self._record.log(trainer.current_epoch + 1, self._evaluation.epochs[-1])
        self._live.send_if_due()


def load_data(config: Config) -> Data:
    """Return the data that a config asks for, in its precision."""
    return load(
        config.data.name,
        Path(config.data.root),
        num_train=config.data.num_train,
        num_val=config.data.num_val,
        download=config.data.download,
        dtype=getattr(torch, config.trainer.precision),
    )


def start_tracking(
    config: Config,
    data: Data,
    overrides: Sequence[str],
    parent_run_id: str | None,
    *,
    checkpoint: str,
    run_id: str | None = None,
) -> TrackedRun:
    """Start the MLflow run of a config, with all that is known before it trains.

    Args:
        config: of the run.
        data: that it trains on.
        overrides: that set it apart.
        parent_run_id: of its sweep.
        checkpoint: the name of the folder for its checkpoints.
        run_id: the run to go on with; None for a new one.
    """
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
    return start_run(
        open_store(config.tracking, Path(config.root)),
        experiment_name=config.tracking.experiment_name,
        name=run_name(overrides),
        tags=tags,
        params=params(config),
        dataset=DatasetRecord(
            data.name, data.digest, data.source, len(data.train), len(data.val), len(data.test)
        ),
        offline_is_fine=parent_run_id is not None,
        run_id=run_id,
    )
