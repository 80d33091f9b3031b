"""Going on where training was interrupted: from its last checkpoint, in the same MLflow runs."""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import EarlyStopping
from torch import Tensor

from pipeline.config.schema import Config, TrainerConfig
from pipeline.engine.fused_module import FusedModule
from pipeline.engine.module import ClassifierModule
from pipeline.tracking import paths
from pipeline.tracking.provenance import config_hash
from pipeline.tracking.record import RunResult
from pipeline.tracking.run import TrackedRun
from pipeline.training.checkpoint import Checkpoint, Schedule, load_newest, remove, write

__all__ = ["KeepCheckpoints", "Resumption", "go_on_from", "restore"]

Epochs = list[dict[str, float]]
"""The metrics of every epoch of a run."""


class Resumption:
    """The place of the checkpoints of a run or group, and the one that it goes on from."""

    def __init__(
        self, configs: Sequence[Config], interrupted: Sequence[RunResult], *, fused: bool
    ) -> None:
        """Look for a checkpoint.

        Args:
            configs: of the run, or of the group's members in their order.
            interrupted: the MLflow run of each; empty for training from the start.
            fused: whether a group's checkpoints are meant.
        """
        names = {run.tags.get("checkpoint", "") for run in interrupted}
        self.name = names.pop() if len(names) == 1 else ""
        self._fused = fused
        self.configs = configs
        root = Path(configs[0].root)
        self.start: Checkpoint | None = None
        """The checkpoint; None for training from the start."""
        if self.name:
            self.start = self._fitting(load_newest(paths.checkpoints(root) / self.name))
        if self.start is None:
            self.name = f"group-{uuid.uuid4().hex}"
        self.folder = paths.checkpoints(root) / self.name
        self._run_ids = [run.run_id for run in interrupted]

    def run_id(self, number: int) -> str | None:
        """Return the MLflow run in which a member goes on, None for a new one."""
        return self._run_ids[number] if self.start else None

    def _fitting(self, found: Checkpoint | None) -> Checkpoint | None:
        """Return the checkpoint if it is of this kind and knows all members."""
        if found is None or found.notes["fused"] != self._fused:
            return None
        known = set(found.notes["members"])
        return found if known.issuperset(map(config_hash, self.configs)) else None

    @property
    def given_up(self) -> list[str]:
        """The MLflow runs that was interrupted and left nothing to go on from."""
        return [] if self.start else self._run_ids

    @property
    def rows(self) -> list[int]:
        """Each member's place among those of the checkpoint."""
        assert self.start is not None
        members: list[str] = self.start.notes["members"]
        return [members.index(config_hash(config)) for config in self.configs]

    @property
    def epochs(self) -> list[Epochs]:
        """Each member's metrics so far."""
        assert self.start is not None
        return [list(self.start.notes["epochs"][row]) for row in self.rows]

    @property
    def failures(self) -> dict[int, str]:
        """The members that had diverged, and how."""
        assert self.start is not None
        failures: Mapping[str, str] = self.start.notes["failures"]
        found = {number: failures.get(str(row)) for number, row in enumerate(self.rows)}
        return {number: text for number, text in found.items() if text is not None}

    def notes(self, epochs: Sequence[Epochs], failures: Mapping[int, str]) -> dict[str, Any]:
        """Return what a checkpoint of this run or group says besides its tensors."""
        return {
            "fused": self._fused,
            "members": [config_hash(config) for config in self.configs],
            "epochs": list(epochs),
            "failures": {str(number): text for number, text in failures.items()},
        }

    def discard(self) -> None:
        """Remove the checkpoints: training has ended well."""
        remove(self.folder)


class KeepCheckpoints(Callback):
    """Puts the state back that training goes on from, and writes checkpoints when they are due."""

    def __init__(
        self,
        resumption: Resumption,
        config: TrainerConfig,
        notes: Callable[[], dict[str, Any]],
        load: Callable[[Mapping[str, Tensor]], None],
    ) -> None:
        """Say what to keep.

        Args:
            resumption: says where, and what to go on from.
            config: says when.
            notes: returns what to keep besides the tensors.
            load: puts tensors back.
        """
        self._resumption = resumption
        self._max_epochs = config.max_epochs
        self._notes = notes
        self._load = load
        self._schedule = Schedule(config.checkpoint_every_s, config.checkpoint_every_epochs)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put the state back."""
        del trainer, pl_module
        if self._resumption.start is not None:
            self._load(self._resumption.start.tensors)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write, if it is time; after the last epoch there is nothing to go on with."""
        assert isinstance(pl_module, ClassifierModule | FusedModule)
        epoch = trainer.current_epoch + 1
        if epoch < self._max_epochs and self._schedule.is_due(epoch):
            write(self._resumption.folder, Checkpoint(epoch, pl_module.state(), self._notes()))


def go_on_from(trainer: Trainer, epochs: Epochs) -> None:
    """Let a trainer begin after the epochs whose metrics these are."""
    progress: Any = trainer.fit_loop.epoch_progress.current
    progress.processed = progress.completed = len(epochs)
    stopping = trainer.early_stopping_callback
    if isinstance(stopping, EarlyStopping):
        _replay(stopping, [metrics["val/loss"] for metrics in epochs])


def _replay(stopping: EarlyStopping, val_losses: Sequence[float]) -> None:
    """Bring early stopping to where it was after these losses."""
    best, waited = math.inf, 0
    for loss in val_losses:
        waited = 0 if loss < best else waited + 1
        best = min(best, loss)
    stopping.best_score.fill_(best)
    stopping.wait_count = waited


def restore(run: TrackedRun, epochs: Epochs) -> None:
    """Log again what a run had logged; what the store has of it isn't sent twice.

    Numbers and their order are the same as before, so the store has the first so many of them.
    """
    for number, metrics in enumerate(epochs, start=1):
        run.record.log(number, metrics)
    assert run.record.run_id is not None
    run.record.num_metrics_sent = run.store.num_metrics(run.record.run_id)
