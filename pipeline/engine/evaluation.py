"""Loss and metrics of every member at the end of every epoch, and the confusion matrix."""

from __future__ import annotations

from math import isnan
from typing import cast

import torch
from jaxtyping import Float, Int, Integer, UInt8
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

from pipeline.data.tensors import Split
from pipeline.engine.dropout import Draws, dropout_mask
from pipeline.engine.early_stopping import has_stopped
from pipeline.engine.first_layer import Readers, SharedInputs
from pipeline.engine.members import Members, input_p_keep
from pipeline.engine.metrics import metrics_of_split
from pipeline.engine.module import GroupModule
from pipeline.engine.network import Parameters

__all__ = ["Epochs", "Evaluation", "best_on_val", "confusion_counts"]

Epochs = dict[int, dict[str, float]]
"""A run's metrics by epoch, from 1, the first one first; of those that were evaluated."""

SPLITS = ("train", "val", "test")

CHUNK = 10_000
"""Examples at once, at most."""

MAX_NUMBERS = {"cpu": 2_000_000, "cuda": 25_000_000}
"""Inputs or units of all members at once, by kind of device: what a core's cache is quick at, and
what bounds the memory of a GPU's chunk, 100 MB in float32."""


class Evaluation(Callback):
    """Evaluates every member on train, val and test at the end of epochs.

    That is every `trainer.evaluate_every` epochs, and the last one. Of each it keeps split/loss,
    without the regularizer's term, and the metrics of `pipeline.engine.metrics` as split/name, for
    the splits that have examples. train/loss is the loss over the whole training set with the
    weights that the epoch ends with; train/lr, where there is a schedule, the learning rate of its
    last step. A member that has diverged or stopped gets no more of them; one whose early stopping
    is due stops here.
    """

    def __init__(self, num_members: int) -> None:
        self.epochs: list[Epochs] = [{} for _ in range(num_members)]
        """Metrics member by member."""
        self.test_predictions: UInt8[Tensor, "members examples"] = torch.empty(0, 0)
        """The classes that each member predicts at its last evaluation."""
        self._parts: list[_Part] = []

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Divide the members into those that are evaluated together."""
        del trainer
        assert isinstance(pl_module, GroupModule)
        self._parts = _divide(pl_module)
        if self.test_predictions.numel() == 0:
            shape = len(self.epochs), len(pl_module.data.test)
            self.test_predictions = torch.zeros(shape, dtype=torch.uint8, device=pl_module.device)

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
            rows = cast("list[list[float]]", torch.stack(list(columns.values()), dim=1).tolist())
            for member, row in zip(table, rows, strict=True):
                member |= zip((f"{name}/{key}" for key in columns), row, strict=True)
            if name == "test":
                self.test_predictions[active] = predictions[active]
        for member in active:
            if not pl_module.configs[member].schedule.is_constant:
                table[member]["train/lr"] = pl_module.last_rates[member].item()
            self.epochs[member][epoch] = table[member]
        self.stop_early(trainer, pl_module)

    def _evaluate(
        self, module: GroupModule, split: Split, epoch: int
    ) -> tuple[Float[Tensor, " members"], UInt8[Tensor, "members examples"]]:
        """Return every member's mean loss over a split, and the classes that it predicts."""
        losses = torch.zeros(len(module.configs), dtype=torch.float64, device=module.device)
        predictions = torch.empty(len(losses), len(split), dtype=torch.uint8, device=module.device)
        for part in self._parts:
            losses[part.rows], predictions[part.rows] = part.evaluate(split, epoch)
        return losses / len(split), predictions

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


def _divide(module: GroupModule) -> list[_Part]:
    """Divide the members: by seed those that drop units at evaluation, the others together.

    Members that drop as many of the inputs lie together.
    """
    parts: dict[int | None, list[int]] = {}
    for position, config in enumerate(module.configs):
        drops = config.dropout.name != "none" and config.dropout.phase in ("test", "always")
        parts.setdefault(config.seed if drops else None, []).append(position)
    for members in parts.values():
        members.sort(key=lambda position: input_p_keep(module.configs[position], "evaluate"))
    return [_Part(module, members, seed) for seed, members in parts.items()]


class _Part:
    """Members that are evaluated together: without dropout, or with the draws of one seed."""

    def __init__(self, module: GroupModule, positions: list[int], seed: int | None) -> None:
        everyone = positions == list(range(len(module.configs)))
        self.rows: slice | list[int] = slice(None) if everyone else positions
        configs = [module.configs[position] for position in positions]
        self._module = module
        self._network = module.network
        self._members = Members(configs, module.device)
        self._draws = None if seed is None else Draws(seed, "evaluate")
        p_keeps = self._members.p_keeps("evaluate", len(self._network.layers))
        self._p_keeps = {layer: p_keep for layer, p_keep in p_keeps.items() if layer > 0}
        of_inputs = [input_p_keep(config, "evaluate") for config in configs]
        self._input_p_keeps = list(dict.fromkeys(of_inputs))
        self._readers = Readers([of_inputs.count(p_keep) for p_keep in self._input_p_keeps])

    def evaluate(
        self, split: Split, epoch: int
    ) -> tuple[Float[Tensor, " part"], UInt8[Tensor, "part examples"]]:
        """Return the sums of the losses and the predicted classes over a split."""
        if self._draws is not None:
            self._draws.start_epoch(epoch)
        parameters = [[t[self.rows] for t in layer] for layer in self._module.layer_parameters]
        count = len(self._members)
        sums = torch.zeros(count, dtype=torch.float64, device=split.inputs.device)
        predicted: list[Tensor] = []
        widest = max(layer.num_units for layer in self._network.layers)
        numbers = max(count * widest, len(self._input_p_keeps) * split.inputs.shape[1])
        size = max(1, min(CHUNK, MAX_NUMBERS[split.inputs.device.type] // numbers))
        for first in range(0, len(split), size):
            rows = slice(first, first + size)
            logits = self._logits(parameters, split.inputs[rows])
            sums += self._losses(logits, split.labels[rows])
            predicted.append(_likeliest(logits))
        return sums, torch.cat(predicted, dim=1)

    def _logits(
        self, parameters: Parameters, inputs: Float[Tensor, "chunk features"]
    ) -> Float[Tensor, "part classes chunk"]:
        shared = SharedInputs(self._matrices(inputs), self._readers)
        masks = {
            layer: self._mask(layer, p_keep, len(inputs)) for layer, p_keep in self._p_keeps.items()
        }
        return self._network.forward(parameters, shared, masks).logits

    def _matrices(
        self, inputs: Float[Tensor, "chunk features"]
    ) -> Float[Tensor, "matrices chunk features"]:
        """Return the inputs once for every p_keep, some of them dropped."""
        if self._draws is None or min(self._input_p_keeps) == 1:
            return inputs.unsqueeze(0)
        draws = self._draws.draw(0, inputs.shape, inputs.device)
        masks = [dropout_mask(draws, p_keep, inputs.dtype) for p_keep in self._input_p_keeps]
        return torch.stack([mask.mul_(inputs) for mask in masks])

    def _mask(
        self, layer: int, p_keep: Float[Tensor, "part 1 1"], num_examples: int
    ) -> Float[Tensor, "part units chunk"]:
        assert self._draws is not None
        shape = torch.Size((num_examples, self._network.layers[layer - 1].num_units))
        return dropout_mask(self._draws.draw(layer, shape, p_keep.device).T, p_keep, p_keep.dtype)

    def _losses(
        self, logits: Float[Tensor, "part classes chunk"], labels: Int[Tensor, " chunk"]
    ) -> Float[Tensor, " part"]:
        sums = torch.empty(len(logits), dtype=torch.float64, device=logits.device)
        for loss, members in self._members.losses:
            values = loss.value(logits[members], labels.unsqueeze(0))
            sums[members] = values.sum(1, dtype=torch.float64)
        return sums


def _likeliest(logits: Float[Tensor, "part classes chunk"]) -> UInt8[Tensor, "part chunk"]:
    """Return the class with the largest logit, the first of several.

    As argmax, which is thirty times slower along this dimension; comparing into floats is six
    times as quick on a CPU as into booleans.
    """
    num_classes = logits.shape[1]
    from_last = torch.arange(num_classes, 0, -1, dtype=logits.dtype, device=logits.device)
    is_largest = torch.eq(logits, logits.amax(1, keepdim=True), out=torch.empty_like(logits))
    places = num_classes - is_largest.mul_(from_last.unsqueeze(-1)).amax(1)
    return places.clamp_(max=num_classes - 1).to(torch.uint8)  # none is largest if one is NaN


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
