"""Loss and accuracy on the three splits at the end of every epoch, and the confusion matrix."""

from __future__ import annotations

from collections.abc import Iterator
from math import isnan

import torch
from jaxtyping import Float, Int, Integer
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

from pipeline.data.tensors import Split
from pipeline.engine.dropout import Dropout
from pipeline.engine.losses import Loss
from pipeline.engine.module import ClassifierModule
from pipeline.engine.network import Network

__all__ = ["Evaluation", "best_on_val", "confusion_counts", "evaluate", "ignored_classes"]

CHUNK = 10_000
"""Examples at once: bounds the memory that the hidden layers take."""


IGNORED_BELOW = 0.01
"""Share of a class's examples below which the network hardly ever answers it."""


def _logits_by_chunk(
    network: Network, split: Split, dropout: Dropout | None
) -> Iterator[tuple[Float[Tensor, "chunk classes"], Int[Tensor, " chunk"]]]:
    for first in range(0, len(split), CHUNK):
        rows = slice(first, first + CHUNK)
        yield network(split.inputs[rows], dropout), split.labels[rows]


@torch.no_grad()
def evaluate(
    network: Network, split: Split, loss: Loss, dropout: Dropout | None = None
) -> tuple[float, float, Int[Tensor, " examples"]]:
    """Return the mean loss, without penalty, the accuracy in [0, 1] and the predicted classes."""
    total = torch.zeros((), dtype=torch.float64, device=split.inputs.device)
    predicted: list[Tensor] = []
    for logits, labels in _logits_by_chunk(network, split, dropout):
        total += loss(logits, labels).sum(dtype=torch.float64)
        predicted.append(logits.argmax(-1))
    predictions = torch.cat(predicted)
    correct = (predictions == split.labels).sum()
    return float(total) / len(split), float(correct) / len(split), predictions


def confusion_counts(
    labels: Int[Tensor, " examples"], predictions: Integer[Tensor, " examples"], num_classes: int
) -> Int[Tensor, "classes classes"]:
    """Return how often each class (row) was taken for each class (column)."""
    cells = labels.cpu() * num_classes + predictions.cpu()
    counts = torch.bincount(cells, minlength=num_classes**2)
    return counts.view(num_classes, num_classes)


def ignored_classes(
    labels: Int[Tensor, " examples"],
    predictions: Integer[Tensor, "*members examples"],
    num_classes: int,
) -> Int[Tensor, "*members"]:
    """Return how many classes are never recognised, or in less than 1 % of their examples.

    A saturated output neuron shows in this long before the accuracy tells why (Problem 1.3).
    Classes without examples don't count.
    """
    is_class = labels.unsqueeze(1) == torch.arange(num_classes, device=labels.device)
    sizes = is_class.sum(0)
    recognised = (predictions == labels).float() @ is_class.float()
    return (recognised < IGNORED_BELOW * sizes).sum(-1)


class Evaluation(Callback):
    """Evaluates train, val and test at the end of every epoch.

    `epochs` holds one dict of metrics per epoch: train/loss, train/accuracy, val/loss,
    val/accuracy (if there are validation examples), test/loss, test/accuracy. train/loss is the
    loss over the whole training set with the weights that the epoch ends with.
    test/ignored_classes: see `ignored_classes`.
    """

    def __init__(self) -> None:
        self.epochs: list[dict[str, float]] = []
        self.test_predictions: Int[Tensor, " examples"] = torch.empty(0, dtype=torch.int64)
        """Of the last epoch."""

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Evaluate, and leave the metrics where Lightning's early stopping looks for them."""
        assert isinstance(pl_module, ClassifierModule)
        dropout = pl_module.evaluation_dropout
        metrics: dict[str, float] = {}
        for name in ("train", "val", "test"):
            split: Split = getattr(pl_module.data, name)
            if len(split) == 0:
                continue
            if dropout:
                dropout.start_epoch(trainer.current_epoch + 1)
            loss, accuracy, predictions = evaluate(
                pl_module.network, split, pl_module.loss, dropout
            )
            metrics |= {f"{name}/loss": loss, f"{name}/accuracy": accuracy}
            if name == "test":
                self.test_predictions = predictions
                ignored = ignored_classes(split.labels, predictions, pl_module.data.num_classes)
                metrics["test/ignored_classes"] = float(ignored)
        self.epochs.append(metrics)
        trainer.callback_metrics.update({key: torch.tensor(v) for key, v in metrics.items()})


def best_on_val(epochs: list[dict[str, float]]) -> dict[str, float]:
    """Return the metrics of the epoch with the lowest val/loss as best/…, {} without val.

    Args:
        epochs: metrics of every epoch, the first epoch first.

    Returns:
        best/epoch (from 1) and best/val_loss, best/val_accuracy, best/test_loss,
        best/test_accuracy of that epoch.
    """
    if not epochs or "val/loss" not in epochs[0]:
        return {}
    losses = [metrics["val/loss"] for metrics in epochs]
    best = min(range(len(epochs)), key=lambda epoch: (isnan(losses[epoch]), losses[epoch]))
    keys = ("val/loss", "val/accuracy", "test/loss", "test/accuracy")
    values = {f"best/{key.replace('/', '_')}": epochs[best][key] for key in keys}
    return {"best/epoch": float(best + 1), **values}
