"""A group, read top to bottom: data, network, fit, evaluate, files. In whichever process it is."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from pytorch_lightning import Callback, LightningModule, Trainer

from pipeline.config.schema import Config, TrainerConfig
from pipeline.data.tensors import Data, load
from pipeline.engine.evaluation import Evaluation, confusion_counts
from pipeline.engine.module import STEPS_PER_CALL, GroupModule
from pipeline.engine.precision import parameter_dtype
from pipeline.engine.threads import num_threads
from pipeline.trained.weights import header_of
from pipeline.training.artifacts import write_results
from pipeline.training.checkpoint import Checkpoint
from pipeline.training.memory import (
    MemoryRanOutError,
    described,
    free_memory,
    is_lack_of_memory,
)
from pipeline.training.resumption import KeepCheckpoints
from pipeline.training.workers import Asking

__all__ = [
    "Epoch",
    "Event",
    "Fitted",
    "JudgedEpoch",
    "Steps",
    "Task",
    "fit",
    "load_data",
    "make_trainer",
]

SAY_EVERY_S = 0.1
"""How often a group says how far it is, at most."""


@dataclass(frozen=True)
class Task:
    """What a group needs to train. It can travel to another process."""

    configs: list[Config]
    """The members' configs, in the order of `sort_members`."""
    folders: list[Path]
    """Where each member's files go."""
    titles: list[str]
    """The title of each member's figures."""
    draws_figures: bool
    """Draw the figures now; else `python -m pipeline.figures` does."""
    checkpoints: Path
    """The folder of the group's checkpoints."""
    members: list[str]
    """The members' identities, by which a checkpoint is known again."""
    start: Checkpoint | None
    """Where training goes on from; None for the start."""
    num_threads: int
    """That compute."""
    is_judged: bool = False
    """At the end of an epoch it is asked which members stop."""


@dataclass(frozen=True)
class Steps:
    """How many steps a group has taken in all."""

    number: int


@dataclass(frozen=True)
class Epoch:
    """An epoch has ended."""

    number: int
    """From 1."""
    metrics: dict[int, dict[str, float]]
    """Metrics by member, of those that were trained in it; {} if it was not evaluated."""
    seconds: float


class JudgedEpoch(Epoch, Asking):
    """An epoch has ended, and the answer says which members stop."""


@dataclass(frozen=True)
class Fitted:
    """A group is trained, and the files of its members are written."""

    failures: dict[int, str]
    """Members that have diverged, and how."""
    seconds: float
    """How long training and evaluation took together, for the whole group."""


Event = Steps | Epoch | Fitted


def fit(task: Task, say: Callable[[Event], Any]) -> None:
    """Train a group as one batched network, and write its members' files.

    Args:
        task: says who and where.
        say: is told how far it is; answers a JudgedEpoch with the members that stop.

    Raises:
        MemoryRanOutError: there is too little for so many members.
        UserError: the data or the disk can't be used.
    """
    data, problem = load_data(task.configs[0]), ""
    try:
        _fit(task, data, say)
    except Exception as error:
        if not is_lack_of_memory(error):
            raise
        problem = described(error)
    free_memory()  # for the next group; an error would hold it as long as it is there
    if problem:
        raise MemoryRanOutError(problem)


def _fit(task: Task, data: Data, say: Callable[[Event], None]) -> None:
    config = task.configs[0]
    module = GroupModule(task.configs, data)
    evaluation = Evaluation(len(task.configs))
    checkpoints = KeepCheckpoints(
        task.checkpoints, task.members, task.start, config.trainer, evaluation
    )
    trainer = make_trainer(config.trainer, [evaluation, _Say(task, say, evaluation), checkpoints])
    started = time.perf_counter()
    with num_threads(task.num_threads):
        trainer.fit(module)
    seconds = time.perf_counter() - started
    for member, folder in enumerate(task.folders):
        if member not in module.failures:
            predictions = evaluation.test_predictions[member]
            write_results(
                folder,
                module.parameters_of(member),
                evaluation.epochs[member],
                confusion_counts(module.data.test.labels, predictions, data.num_classes),
                header=header_of(task.configs[member], data),
                scaling=data.scaling,
                title=task.titles[member],
                figures=task.draws_figures,
            )
    say(Fitted(module.failures, seconds))


class _Say(Callback):
    """Says how far a group is, and stops the members of which the answer says so."""

    def __init__(self, task: Task, say: Callable[[Event], Any], evaluation: Evaluation) -> None:
        self._is_judged = task.is_judged
        self._say = say
        self._evaluation = evaluation
        self._epoch_started = self._said = 0.0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        del trainer, pl_module
        self._epoch_started = time.perf_counter()

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: object,
        batch: object,
        batch_idx: int,
    ) -> None:
        del outputs, batch
        assert isinstance(pl_module, GroupModule)
        if time.perf_counter() - self._said > SAY_EVERY_S:
            in_epoch = min((batch_idx + 1) * STEPS_PER_CALL, pl_module.num_steps)
            self._say(Steps(trainer.current_epoch * pl_module.num_steps + in_epoch))
            self._said = time.perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, GroupModule)
        number = trainer.current_epoch + 1
        metrics = {
            member: epochs[number]
            for member, epochs in enumerate(self._evaluation.epochs)
            if number in epochs
        }
        seconds = time.perf_counter() - self._epoch_started
        if not self._is_judged or not pl_module.active or number == pl_module.num_epochs:
            self._say(Epoch(number, metrics, seconds))
            return
        judged = self._say(JudgedEpoch(number, metrics, seconds))
        pl_module.stop(judged)
        trainer.should_stop = trainer.should_stop or not pl_module.active


def make_trainer(config: TrainerConfig, callbacks: Sequence[Callback] = ()) -> Trainer:
    """Return a Lightning trainer that only trains: what else happens is up to the callbacks."""
    for name in ("pytorch_lightning", "lightning_fabric"):  # devices found concern nobody
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", "`isinstance\\(treespec, LeafSpec\\)` is deprecated")
    warnings.filterwarnings("ignore", "The `srun` command is available")  # a group needs none
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
        plugins=[LightningEnvironment()],  # a job of a cluster is no node of one training
    )


def load_data(config: Config) -> Data:
    """Return the data that a config asks for, in its precision."""
    return load(config.divided_data, parameter_dtype(config.trainer))
