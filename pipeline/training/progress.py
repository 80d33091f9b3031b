"""Progress of a group: a bar on a terminal, a line per epoch otherwise."""

from __future__ import annotations

import logging
import sys
import time
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pipeline.engine.evaluation import Evaluation
from pipeline.engine.module import STEPS_PER_CALL, GroupModule

__all__ = ["make_progress"]

log = logging.getLogger(__name__)


def make_progress(evaluation: Evaluation) -> Callback:
    """Return the callback that fits where standard output goes.

    Args:
        evaluation: the callback that measures every epoch; it must run before this one.
    """
    return _Bar(evaluation) if sys.stdout.isatty() else _Lines(evaluation)


def _describe(module: GroupModule, epoch: int, evaluation: Evaluation) -> str | None:
    """Return an epoch's results in words: a run's metrics, or the best one of several members.

    Returns:
        None if every member had diverged before the epoch's end.
    """
    reached = [epochs[-1] for epochs in evaluation.epochs if len(epochs) == epoch]
    if not reached:
        return None
    if len(module.configs) > 1:
        best = max(metrics["test/accuracy"] for metrics in reached)
        return f"{len(reached)}/{len(module.configs)} members  best test/accuracy {best:.4f}"
    (metrics,) = reached
    parts = [f"train/loss {metrics['train/loss']:.4g}"]
    if "val/accuracy" in metrics:
        parts.append(f"val/accuracy {metrics['val/accuracy']:.4f}")
    parts.append(f"test/accuracy {metrics['test/accuracy']:.4f}")
    return "  ".join(parts)


class _Lines(Callback):
    def __init__(self, evaluation: Evaluation) -> None:
        self._evaluation = evaluation
        self._started = 0.0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        del trainer, pl_module
        self._started = time.perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, GroupModule)
        seconds = time.perf_counter() - self._started
        epoch = trainer.current_epoch + 1
        said = _describe(pl_module, epoch, self._evaluation)
        if said is not None:
            log.info("epoch %d/%d  %s  %.2f s", epoch, trainer.max_epochs, said, seconds)


class _Bar(Callback):
    def __init__(self, evaluation: Evaluation) -> None:
        self._evaluation = evaluation
        self._bar = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[metrics]}"),
        )
        self._task = self._bar.add_task("", total=None, epoch="", metrics="")

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, GroupModule)
        assert trainer.max_epochs is not None
        self._bar.update(self._task, total=trainer.max_epochs * pl_module.num_steps)
        self._bar.start()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        del pl_module
        self._bar.update(self._task, epoch=f"{trainer.current_epoch + 1}/{trainer.max_epochs}")

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        del outputs, batch
        assert isinstance(pl_module, GroupModule)
        in_epoch = min((batch_idx + 1) * STEPS_PER_CALL, pl_module.num_steps)
        done = trainer.current_epoch * pl_module.num_steps + in_epoch
        self._bar.update(self._task, completed=done)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, GroupModule)
        said = _describe(pl_module, trainer.current_epoch + 1, self._evaluation)
        self._bar.update(self._task, metrics=said or "")

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        del trainer, pl_module
        self._bar.stop()

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        del trainer, pl_module, exception
        self._bar.stop()
