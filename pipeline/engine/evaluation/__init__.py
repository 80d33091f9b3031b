"""Loss and metrics of every member at the end of every epoch, and the confusion matrix."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isnan
from typing import cast

import torch
from jaxtyping import Float, Int, Integer
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

from pipeline.data.tensors import Split
from pipeline.engine.attacks import adversarial_metrics
from pipeline.engine.early_stopping import has_stopped
from pipeline.engine.evaluation.part import Part, class_dtype, divide
from pipeline.engine.metrics import metrics_of_split
from pipeline.engine.module import GroupModule

__all__ = ["Epochs", "Evaluation", "best_on_val", "confusion_counts"]

Epochs = dict[int, dict[str, float]]
"""A run's metrics by epoch, from 1, the first one first; of those that were evaluated."""

SPLITS = ("train", "val", "test")


class Evaluation(Callback):
    """Evaluates every member on train, val and test at the end of epochs.

    That is every `trainer.evaluate_every` epochs, and the last one. Of each it keeps split/loss,
    without the regularizer's term, and the metrics of `pipeline.engine.metrics` as split/name, for
    the splits that have examples; of members with an attack also test/adversarial_accuracy and
    test/adversarial_confidence, see `adversarial_metrics`. train/loss is the loss over the whole
    training set with the weights that the epoch ends with; train/lr, where there is a schedule, the
    learning rate of its last step. A member that has diverged or stopped gets no more of them; one
    whose early stopping is due stops here.
    """

    def __init__(self, num_members: int) -> None:
        self.epochs: list[Epochs] = [{} for _ in range(num_members)]
        """Metrics member by member."""
        self.test_predictions: Integer[Tensor, "members examples"] = torch.empty(0, 0)
        """The classes that each member predicts at its last evaluation."""
        self._parts: list[Part] = []

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Divide the members into those that are evaluated together."""
        del trainer
        assert isinstance(pl_module, GroupModule)
        self._parts = divide(pl_module)
        if self.test_predictions.numel() == 0:
            self.test_predictions = _no_predictions(pl_module, pl_module.data.test)

    @torch.no_grad()
    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Evaluate the members that still train, if it is time, and stop those that should."""
        assert isinstance(pl_module, GroupModule)
        active, epoch = pl_module.active, trainer.current_epoch + 1
        is_due = epoch % pl_module.configs[0].trainer.evaluate_every == 0
        if not active or not (is_due or epoch == pl_module.num_epochs):
            return
        table: list[dict[str, float]] = [{} for _ in pl_module.configs]
        for name in SPLITS:
            split: Split = getattr(pl_module.data, name)
            if len(split) == 0:
                continue
            losses, predictions = self._evaluate(pl_module, split, epoch)
            columns = {"loss": losses}
            labels = split.labels.to(predictions.dtype)
            for metric_name, metric in metrics_of_split(name).items():
                columns[metric_name] = metric(predictions, labels, pl_module.data.num_classes)
            for member, row in zip(table, _by_member(name, columns), strict=True):
                member |= row
            if name == "test":
                self.test_predictions[active] = predictions[active]
        for member, row in self._attack(pl_module.data.test, epoch):
            table[member] |= row
        for member in active:
            if not pl_module.configs[member].schedule.is_constant:
                table[member]["train/lr"] = pl_module.last_rates[member].item()
            self.epochs[member][epoch] = table[member]
        self.stop_early(trainer, pl_module)

    def _evaluate(
        self, module: GroupModule, split: Split, epoch: int
    ) -> tuple[Float[Tensor, " members"], Integer[Tensor, "members examples"]]:
        """Return every member's mean loss over a split, and the classes that it predicts."""
        losses = torch.zeros(len(module.configs), dtype=torch.float64, device=module.device)
        predictions = _no_predictions(module, split)
        for part in self._parts:
            losses[part.rows], predictions[part.rows] = part.evaluate(split, epoch)
        return losses / len(split), predictions

    def _attack(self, test: Split, epoch: int) -> Iterator[tuple[int, dict[str, float]]]:
        """Yield each member that has an attack, and its metrics on the perturbed test examples."""
        for part in self._parts:
            if part.is_attacked:
                predictions, confidences = part.attack(test, epoch)
                labels = test.labels.to(predictions.dtype)
                columns = adversarial_metrics(predictions, confidences, labels)
                yield from zip(part.positions, _by_member("test", columns), strict=True)

    def stop_early(self, trainer: Trainer, module: GroupModule) -> None:
        """Stop the members whose early stopping is due; if none is left, training ends."""
        due = [
            member
            for member in module.active
            if module.configs[member].trainer.early_stopping
            and has_stopped(
                [metrics["val/loss"] for metrics in self.epochs[member].values()],
                module.configs[member].trainer.patience,
            )
        ]
        if due:
            module.stop(due)
            trainer.should_stop = not module.active


def _no_predictions(module: GroupModule, split: Split) -> Integer[Tensor, "members examples"]:
    """Return room for the classes that each member predicts, for now the first one."""
    dtype = class_dtype(module.data.num_classes)
    return torch.zeros(len(module.configs), len(split), dtype=dtype, device=module.device)


def _by_member(
    split: str, columns: Mapping[str, Float[Tensor, " members"]]
) -> list[dict[str, float]]:
    """Return the metrics of a split, as split/name, of one member after the other."""
    names = [f"{split}/{name}" for name in columns]
    rows = cast("list[list[float]]", torch.stack(list(columns.values()), dim=1).tolist())
    return [dict(zip(names, row, strict=True)) for row in rows]


def confusion_counts(
    labels: Int[Tensor, " examples"], predictions: Integer[Tensor, " examples"], num_classes: int
) -> Int[Tensor, "classes classes"]:
    """Return how often each class (row) was taken for each class (column)."""
    cells = labels.cpu() * num_classes + predictions.cpu()
    counts = torch.bincount(cells, minlength=num_classes**2)
    return counts.view(num_classes, num_classes)


def best_on_val(epochs: Epochs) -> dict[str, float]:
    """Return the metrics of the epoch with the lowest val/loss as best/…, {} without val.

    Returns:
        best/epoch (from 1) and best/val_loss, best/val_accuracy, best/test_loss,
        best/test_accuracy of that epoch, the first one among equals.
    """
    losses = {epoch: row["val/loss"] for epoch, row in epochs.items() if "val/loss" in row}
    if not losses:
        return {}
    best = min(losses, key=lambda epoch: (isnan(losses[epoch]), losses[epoch]))
    keys = ("val/loss", "val/accuracy", "test/loss", "test/accuracy")
    values = {f"best/{key.replace('/', '_')}": epochs[best][key] for key in keys}
    return {"best/epoch": float(best), **values}
