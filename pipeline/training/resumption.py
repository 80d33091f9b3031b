"""Going on where training was interrupted: from its last checkpoint, in the same MLflow runs."""

from __future__ import annotations

import signal
import threading
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from pipeline.config.schema import Config, TrainerConfig
from pipeline.engine.evaluation import Epochs, Evaluation
from pipeline.engine.module import GroupModule
from pipeline.errors import InterruptedRunError
from pipeline.process import is_asked_to_stop
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
        """Look for a checkpoint; what goes on without the rest of its group gets one of its own.

        Args:
            configs: of the group's members in their order.
            interrupted: the MLflow run that each goes on with; None of one that starts anew.
        """
        self.members = [config_hash(config) for config in configs]
        """The members' identities, by which a checkpoint is known again."""
        self._runs = [run for run in interrupted if run is not None]
        self._folders = paths.checkpoints(Path(configs[0].root))
        self.name = uuid.uuid4().hex
        names = {run.tags.get("checkpoint", "") for run in self._runs}
        together = len(self._runs) == len(configs) and len(names) == 1
        self.start = self._find(names.pop()) if together else None
        """The checkpoint; None for training from the start."""

    def _find(self, name: str) -> Checkpoint | None:
        """Return the newest checkpoint of a folder as far as it is about these members."""
        found = load_newest(self._folders / name)
        if found is None or not set(found.notes["members"]).issuperset(self.members):
            return None
        if found.notes["members"] == self.members:
            self.name = name
            return found
        part = _part(found, self.members)
        write(self.folder, part)
        return part

    @property
    def folder(self) -> Path:
        """Where this group's checkpoints are."""
        return self._folders / self.name

    def run_id(self, member: int) -> str | None:
        """Return the MLflow run in which a member goes on, None for a new one."""
        return self._runs[member].run_id if self.start else None

    @property
    def given_up(self) -> list[str]:
        """The MLflow runs that were interrupted and left nothing to go on from."""
        return [] if self.start else [run.run_id for run in self._runs]

    def count_sent(self, runs: Sequence[TrackedRun]) -> None:
        """Note how many metrics the store has of runs that go on, so that none is sent twice.

        Numbers and their order are the same as before, so it has the first so many of them.
        """
        if self.start is not None:
            sent = runs[0].store.num_metrics([run.record.known_run_id for run in runs])
            for run in runs:
                run.record.num_metrics_sent = sent[run.record.known_run_id]

    def restore(self, runs: Sequence[TrackedRun]) -> list[Epochs]:
        """Let the members' runs have the metrics of the checkpoint, none if there is none.

        Returns:
            Each member's metrics so far.
        """
        past: list[Epochs] = [{} for _ in runs]
        if self.start is not None:
            past = [_epochs(noted) for noted in self.start.notes["epochs"]]
        for run, epochs in zip(runs, past, strict=True):
            run.record.metrics.clear()
            for number, metrics in epochs.items():
                run.record.log(number, metrics)
        return past

    def discard(self) -> None:
        """Remove the checkpoints: training has ended well."""
        remove(self.folder)


def _epochs(noted: Mapping[str, dict[str, float]]) -> Epochs:
    """Return a run's metrics by epoch, whose numbers JSON has as text."""
    return {int(number): metrics for number, metrics in noted.items()}


def _part(whole: Checkpoint, members: Sequence[str]) -> Checkpoint:
    """Return what a group's checkpoint says of some of its members."""
    known: list[str] = whole.notes["members"]
    rows = [known.index(member) for member in members]
    failures: Mapping[str, str] = whole.notes["failures"]
    notes = {
        "members": list(members),
        "epochs": [whole.notes["epochs"][row] for row in rows],
        "failures": {
            str(member): failures[str(row)]
            for member, row in enumerate(rows)
            if str(row) in failures
        },
    }
    tensors = {name: tensor[rows] for name, tensor in whole.tensors.items()}
    return Checkpoint(whole.epoch, tensors, notes)


class KeepCheckpoints(Callback):
    """Puts the state back that training goes on from, and writes checkpoints when they are due."""

    def __init__(
        self,
        folder: Path,
        members: Sequence[str],
        start: Checkpoint | None,
        config: TrainerConfig,
        evaluation: Evaluation,
    ) -> None:
        """Say what to keep.

        Args:
            folder: where checkpoints go.
            members: their identities.
            start: what to go on from.
            config: says when to write.
            evaluation: whose results are kept too; it must run before this.
        """
        self._folder = folder
        self._members = list(members)
        self._start = start
        self._evaluation = evaluation
        self._at_sigterm = signal.getsignal(signal.SIGTERM) or signal.SIG_DFL
        self._schedule = Schedule(config.checkpoint_every_s, config.checkpoint_every_epochs)

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Bring all but the tensors to where the checkpoint was, if there is one."""
        assert isinstance(pl_module, GroupModule)
        if self._start is None:
            return
        failures: Mapping[str, str] = self._start.notes["failures"]
        pl_module.failures = {int(member): text for member, text in failures.items()}
        self._evaluation.epochs = [_epochs(noted) for noted in self._start.notes["epochs"]]
        progress: Any = trainer.fit_loop.epoch_progress.current
        progress.processed = progress.completed = self._start.epoch

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put the state back; members that had stopped remain so.

        By now Lightning has taken SIGTERM, to end training within an epoch: it is given back.
        """
        assert isinstance(pl_module, GroupModule)
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._at_sigterm)
        if self._start is None:
            return
        pl_module.load_state(self._start.tensors)
        self._evaluation.test_predictions.copy_(self._start.tensors[PREDICTIONS])
        self._evaluation.stop_early(trainer, pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write, if it is time or the last chance; after the last epoch nothing goes on.

        Raises:
            InterruptedRunError: training was asked to stop, and has left a checkpoint.
        """
        assert isinstance(pl_module, GroupModule)
        epoch = trainer.current_epoch + 1
        if epoch == pl_module.num_epochs or trainer.should_stop:
            return
        stops = is_asked_to_stop()
        if self._schedule.is_due(epoch) or stops:
            self._write(epoch, pl_module)
        if stops:
            raise InterruptedRunError(f"asked to stop after epoch {epoch}; it can go on from there")

    def _write(self, epoch: int, module: GroupModule) -> None:
        tensors = {**module.state(), PREDICTIONS: self._evaluation.test_predictions}
        failures = {str(member): text for member, text in module.failures.items()}
        notes = {
            "members": self._members,
            "epochs": self._evaluation.epochs,
            "failures": failures,
        }
        write(self._folder, Checkpoint(epoch, tensors, notes))
