"""Loss and accuracy of every member of a fused group at the end of every epoch."""

from __future__ import annotations

from typing import cast

import torch
from jaxtyping import Float, Int, UInt8
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

from pipeline.data.tensors import Split
from pipeline.engine.backprop import Sharing, forward
from pipeline.engine.dropout import Draws, dropout_mask
from pipeline.engine.evaluation import CHUNK, ignored_classes
from pipeline.engine.fused_module import FusedModule
from pipeline.engine.losses import make_loss
from pipeline.engine.members import Members, input_p_keep

__all__ = ["FusedEvaluation"]

MAX_NUMBERS = 25_000_000
"""Inputs or units of all members at once: bounds the memory of a chunk, 100 MB in float32."""


class FusedEvaluation(Callback):
    """Evaluates every member on train, val and test; the metrics of `Evaluation`, per member."""

    def __init__(self, num_members: int) -> None:
        self.epochs: list[list[dict[str, float]]] = [[] for _ in range(num_members)]
        """Metrics member by member, epoch by epoch."""
        self.test_predictions: UInt8[Tensor, "members examples"] = torch.empty(0, 0)
        """Of the last epoch."""

    @torch.no_grad()
    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Evaluate."""
        assert isinstance(pl_module, FusedModule)
        for member in self.epochs:
            member.append({})
        for name in ("train", "val", "test"):
            split: Split = getattr(pl_module.data, name)
            if len(split) == 0:
                continue
            losses, predictions = _evaluate(pl_module, split, trainer.current_epoch + 1)
            accuracies = (predictions == split.labels).double().mean(1)
            table = cast("list[list[float]]", torch.stack([losses, accuracies], dim=1).tolist())
            for member, (loss, accuracy) in zip(self.epochs, table, strict=True):
                member[-1] |= {f"{name}/loss": loss, f"{name}/accuracy": accuracy}
            if name == "test":
                self.test_predictions = predictions
                ignored = ignored_classes(split.labels, predictions, pl_module.data.num_classes)
                counts = cast("list[int]", ignored.tolist())
                for member, number in zip(self.epochs, counts, strict=True):
                    member[-1]["test/ignored_classes"] = float(number)


def _evaluate(
    module: FusedModule, split: Split, epoch: int
) -> tuple[Float[Tensor, " members"], UInt8[Tensor, "members examples"]]:
    """Return every member's mean loss over a split, and the classes that it predicts."""
    losses = torch.zeros(len(module.configs), dtype=torch.float64, device=module.device)
    predictions = torch.empty(len(losses), len(split), dtype=torch.uint8, device=module.device)
    for seed, positions in _by_draws(module).items():
        draws = None
        if seed is not None:
            draws = Draws(seed, "evaluate")
            draws.start_epoch(epoch)
        part = _Part(module, positions, draws)
        losses[positions], predictions[positions] = part.evaluate(split)
    return losses / len(split), predictions


def _by_draws(module: FusedModule) -> dict[int | None, list[int]]:
    """Divide the members: by seed those that drop units at evaluation, the others together.

    Members that drop as many of the inputs lie together.
    """
    parts: dict[int | None, list[int]] = {}
    for position, config in enumerate(module.configs):
        drops = config.dropout.name != "none" and config.dropout.phase in ("test", "always")
        parts.setdefault(config.seed if drops else None, []).append(position)
    for members in parts.values():
        members.sort(key=lambda position: input_p_keep(module.configs[position], "evaluate"))
    return parts


class _Part:
    """Members that are evaluated together: without dropout, or with the same draws."""

    def __init__(self, module: FusedModule, positions: list[int], draws: Draws | None) -> None:
        everyone = len(positions) == len(module.configs)
        rows = slice(None) if everyone else positions
        configs = [module.configs[i] for i in positions]
        self._model = configs[0].model
        self._weights = [matrix[rows] for matrix in module.weights]
        self._biases = [vector[rows] for vector in module.biases]
        self._members = Members(configs, module.device)
        self._draws = draws
        layers = range(1, len(self._weights) + 1)
        p_keeps = {layer: self._members.p_keep(layer, "evaluate") for layer in layers}
        self._p_keeps = {layer: p for layer, p in p_keeps.items() if draws and p is not None}
        of_inputs = [input_p_keep(config, "evaluate") if draws else 1.0 for config in configs]
        self._input_p_keeps = list(dict.fromkeys(of_inputs))
        self._sharing = Sharing([of_inputs.count(p_keep) for p_keep in self._input_p_keeps])

    def evaluate(
        self, split: Split
    ) -> tuple[Float[Tensor, " part"], UInt8[Tensor, "part examples"]]:
        """Return the sums of the losses and the predicted classes over a split."""
        count = len(self._members)
        sums = torch.zeros(count, dtype=torch.float64, device=split.inputs.device)
        predicted: list[Tensor] = []
        widest = max(vector.shape[1] for vector in self._biases)
        numbers = max(count * widest, len(self._input_p_keeps) * split.inputs.shape[1])
        size = max(1, min(CHUNK, MAX_NUMBERS // numbers))
        for first in range(0, len(split), size):
            rows = slice(first, first + size)
            logits = self._logits(split.inputs[rows])
            sums += self._losses(logits, split.labels[rows])
            # As argmax, which is seven times slower along this dimension.
            predicted.append(logits.max(1).indices.to(torch.uint8))
        return sums, torch.cat(predicted, dim=1)

    def _logits(
        self, inputs: Float[Tensor, "chunk features"]
    ) -> Float[Tensor, "part classes chunk"]:
        matrices, activation = self._matrices(inputs), self._model.activation
        masks = {
            layer: self._mask(layer, torch.Size((len(inputs), self._biases[layer - 1].shape[1])))
            for layer in self._p_keeps
        }
        done = forward(self._weights, self._biases, matrices, self._sharing, activation, masks)
        return done.logits

    def _matrices(
        self, inputs: Float[Tensor, "chunk features"]
    ) -> Float[Tensor, "streams chunk features"]:
        """Return the inputs once for every p_keep, some of them dropped."""
        if self._draws is None or min(self._input_p_keeps) == 1:
            return inputs.unsqueeze(0)
        draws = self._draws.draw(0, inputs.shape, inputs.device)
        masks = [dropout_mask(draws, p_keep, inputs.dtype) for p_keep in self._input_p_keeps]
        return torch.stack([mask.mul_(inputs) for mask in masks])

    def _mask(self, layer: int, shape: torch.Size) -> Float[Tensor, "part units chunk"]:
        p_keep = self._p_keeps[layer]
        assert self._draws is not None
        draws = self._draws.draw(layer, shape, p_keep.device).T
        return (draws < p_keep.float()).to(p_keep.dtype) / p_keep

    def _losses(
        self, logits: Float[Tensor, "part classes chunk"], labels: Int[Tensor, " chunk"]
    ) -> Float[Tensor, " part"]:
        sums = torch.empty(len(logits), dtype=torch.float64, device=logits.device)
        for loss, members in self._members.losses:
            function = make_loss(loss, self._model.output)
            own = logits[members].mT
            targets = labels.expand(len(own), -1)
            sums[members] = function(own, targets).sum(1, dtype=torch.float64)
        return sums
