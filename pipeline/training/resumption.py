"""Going on where training was interrupted: from its last checkpoint, in the same MLflow runs."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from pipeline.config.schema import Config
from pipeline.engine.evaluation import Epochs, Evaluation
from pipeline.engine.module import GroupModule
from pipeline.tracking import paths
from pipeline.tracking.provenance import config_hash
from pipeline.tracking.record import RunResult
from pipeline.tracking.run import TrackedRun
from pipeline.training.checkpoint import Checkpoint, Schedule, load_newest, remove, write

__all__ = ["KeepCheckpoints", "Resumption"]

PREDICTIONS = "test_predictions"
"""The tensor of a checkpoint that holds the classes predicted at each member's last epoch."""


class Resumption:
    """The place of a group's checkpoints, and the one that it goes on from, if any."""

    def __init__(self, configs: Sequence[Config], interrupted: Sequence[RunResult | None]) -> None:
        """Look for a checkpoint.

        Args:
            configs: of the group's members in their order.
            interrupted: the MLflow run that each goes on with; None of one that starts anew.
        """
        self.configs = configs
        self._runs = [run for run in interrupted if run is not None]
        names = {run.tags.get("checkpoint", "") for run in self._runs}
        root = Path(configs[0].root)
        self.start: Checkpoint | None = None
        """The checkpoint; None for training from the start."""
        if len(self._runs) == len(configs) and len(names) == 1:
            (self.name,) = names
            self.start = self._fitting(load_newest(paths.checkpoints(root) / self.name))
        if self.start is None:
            self.name = uuid.uuid4().hex
        self.folder = paths.checkpoints(root) / self.name

    def _fitting(self, found: Checkpoint | None) -> Checkpoint | None:
        """Return the checkpoint if it knows all members."""
        if found is None:
            return None
        known = set(found.notes["members"])
        return found if known.issuperset(map(config_hash, self.configs)) else None

    def run_id(self, member: int) -> str | None:
        """Return the MLflow run in which a member goes on, None for a new one."""
        return self._runs[member].run_id if self.start else None

    @property
    def given_up(self) -> list[str]:
        """The MLflow runs that were interrupted and left nothing to go on from."""
        return [] if self.start else [run.run_id for run in self._runs]

    @property
    def rows(self) -> list[int]:
        """Each member's place among those of the checkpoint."""
        assert self.start is not None
        members: list[str] = self.start.notes["members"]
        return [members.index(config_hash(config)) for config in self.configs]

    def restore(
        self,
        runs: Sequence[TrackedRun],
        trainer: Trainer,
        module: GroupModule,
        evaluation: Evaluation,
    ) -> None:
        """Bring all but the tensors to where the checkpoint was, if there is one.

        What the store has of the metrics isn't sent twice: numbers and their order are the same as
        before, so it has the first so many of them.
        """
        if self.start is None:
            return
        failures: Mapping[str, str] = self.start.notes["failures"]
        for member, (row, run) in enumerate(zip(self.rows, runs, strict=True)):
            epochs: Epochs = self.start.notes["epochs"][row]
            evaluation.epochs[member] = list(epochs)
            if str(row) in failures:
                module.failures[member] = failures[str(row)]
            for number, metrics in enumerate(epochs, start=1):
                run.record.log(number, metrics)
            assert run.record.run_id is not None
            run.record.num_metrics_sent = run.store.num_metrics(run.record.run_id)
        progress: Any = trainer.fit_loop.epoch_progress.current
        progress.processed = progress.completed = self.start.epoch

    def notes(self, module: GroupModule, evaluation: Evaluation) -> dict[str, Any]:
        """Return what a checkpoint says besides its tensors."""
        return {
            "members": [config_hash(config) for config in self.configs],
            "epochs": evaluation.epochs,
            "failures": {str(member): text for member, text in module.failures.items()},
        }

    def discard(self) -> None:
        """Remove the checkpoints, unless others go on from them: training has ended well."""
        if self.start is None or len(self.start.notes["members"]) == len(self.configs):
            remove(self.folder)


class KeepCheckpoints(Callback):
    """Puts the state back that training goes on from, and writes checkpoints when they are due."""

    def __init__(self, resumption: Resumption, evaluation: Evaluation) -> None:
        """Say what to keep.

        Args:
            resumption: says where, when, and what to go on from.
            evaluation: whose results are kept too; it must run before this.
        """
        self._resumption = resumption
        self._evaluation = evaluation
        self._config = resumption.configs[0].trainer
        self._schedule = Schedule(
            self._config.checkpoint_every_s, self._config.checkpoint_every_epochs
        )

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put the state back; members that had stopped remain so."""
        assert isinstance(pl_module, GroupModule)
        if self._resumption.start is None:
            return
        tensors, rows = self._resumption.start.tensors, self._resumption.rows
        pl_module.load_state(tensors, rows)
        self._evaluation.test_predictions.copy_(tensors[PREDICTIONS][rows])
        self._evaluation.stop_early(trainer, pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write, if it is time; after the last epoch there is nothing to go on with."""
        assert isinstance(pl_module, GroupModule)
        epoch = trainer.current_epoch + 1
        if epoch < self._config.max_epochs and self._schedule.is_due(epoch):
            tensors = {**pl_module.state(), PREDICTIONS: self._evaluation.test_predictions}
            notes = self._resumption.notes(pl_module, self._evaluation)
            write(self._resumption.folder, Checkpoint(epoch, tensors, notes))
