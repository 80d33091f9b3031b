"""Members that are evaluated together: what they answer over a split, and to an attack on it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Float, Int, Integer
from torch import Tensor

from pipeline.data.tensors import Split
from pipeline.engine.attacks import make_attack
from pipeline.engine.dropout import Draws, dropout_mask
from pipeline.engine.first_layer import Readers, SharedInputs
from pipeline.engine.members import Members, input_p_keep
from pipeline.engine.module import GroupModule
from pipeline.engine.network import Forward, Masks, Parameters

__all__ = ["Part", "class_dtype", "divide"]

CHUNK = 10_000
"""Examples at once, at most."""

MAX_NUMBERS = {"cpu": 2_000_000, "cuda": 25_000_000}
"""Inputs or units of all members at once, by kind of device: what a core's cache is quick at, and
what bounds the memory of a GPU's chunk, 100 MB in float32."""


def divide(module: GroupModule) -> list[Part]:
    """Divide the members: by attack, and by seed those that drop units at evaluation.

    Members that drop as many of the inputs lie together.
    """
    parts: dict[tuple[str, int | None], list[int]] = {}
    for position, config in enumerate(module.configs):
        drops = config.dropout.name != "none" and config.dropout.phase in ("test", "always")
        seed = config.seed if drops else None
        parts.setdefault((config.attack.name, seed), []).append(position)
    for members in parts.values():
        members.sort(key=lambda position: input_p_keep(module.configs[position], "evaluate"))
    return [Part(module, members, seed) for (_, seed), members in parts.items()]


def class_dtype(num_classes: int) -> torch.dtype:
    """Return the narrowest type that holds the numbers of so many classes."""
    return next(
        dtype
        for dtype in (torch.uint8, torch.int16, torch.int32)
        if num_classes - 1 <= torch.iinfo(dtype).max
    )


@dataclass(frozen=True)
class _Chunk:
    """Some examples of a split, and what a part's members make of them."""

    examples: Split
    input_masks: Float[Tensor, "matrices chunk features"] | None
    """Dropout factors of the inputs, matrix by matrix; None if all are kept."""
    masks: Masks
    done: Forward


class Part:
    """Members that are evaluated together: without dropout, or with the draws of one seed.

    They have the same attack, each with its own ε, or none.
    """

    def __init__(self, module: GroupModule, positions: list[int], seed: int | None) -> None:
        everyone = positions == list(range(len(module.configs)))
        self.positions = positions
        self.rows: slice | list[int] = slice(None) if everyone else positions
        configs = [module.configs[position] for position in positions]
        self._module = module
        self._network = module.network
        self._members = Members(configs, module.device)
        name = configs[0].attack.name
        self._attack = None if name == "none" else make_attack(name)
        self._draws = None if seed is None else Draws(seed, "evaluate")
        p_keeps = self._members.p_keeps("evaluate", len(self._network.layers))
        self._p_keeps = {layer: p_keep for layer, p_keep in p_keeps.items() if layer > 0}
        of_inputs = [input_p_keep(config, "evaluate") for config in configs]
        self._input_p_keeps = list(dict.fromkeys(of_inputs))
        self._matrix_of_member = [self._input_p_keeps.index(p_keep) for p_keep in of_inputs]
        self._readers = Readers([of_inputs.count(p_keep) for p_keep in self._input_p_keeps])

    def evaluate(
        self, split: Split, epoch: int
    ) -> tuple[Float[Tensor, " part"], Integer[Tensor, "part examples"]]:
        """Return the sums of the losses and the predicted classes over a split."""
        sums = torch.zeros(len(self._members), dtype=torch.float64, device=split.inputs.device)
        predicted: list[Tensor] = []
        for chunk in self._chunks(split, epoch, self._parameters):
            sums += self._losses(chunk.done.logits, chunk.examples.labels)
            predicted.append(_likeliest(chunk.done.logits))
        return sums, torch.cat(predicted, dim=1)

    @property
    def is_attacked(self) -> bool:
        """Whether the members have an attack."""
        return self._attack is not None

    def attack(
        self, split: Split, epoch: int
    ) -> tuple[Integer[Tensor, "part examples"], Float[Tensor, "part examples"]]:
        """Return the classes predicted for a split's perturbed examples, and their outputs."""
        parameters = self._parameters
        loss, _ = self._members.losses[0]  # all have the same output function
        predicted: list[Tensor] = []
        confidences: list[Tensor] = []
        for chunk in self._chunks(split, epoch, parameters):
            logits = self._attacked_logits(chunk, parameters)
            predicted.append(_likeliest(logits))
            confidences.append(loss.activations(logits).amax(1))
        return torch.cat(predicted, dim=1), torch.cat(confidences, dim=1)

    @property
    def _parameters(self) -> list[list[Float[Tensor, "part ..."]]]:
        """The members' parameters, layer by layer."""
        return [[t[self.rows] for t in layer] for layer in self._module.layer_parameters]

    def _chunks(self, split: Split, epoch: int, parameters: Parameters) -> Iterator[_Chunk]:
        """Yield a split in chunks, with what the forward pass makes of each."""
        if self._draws is not None:
            self._draws.start_epoch(epoch)
        widest = max(layer.num_units for layer in self._network.layers)
        numbers = max(len(self._members) * widest, len(self._input_p_keeps) * split.inputs.shape[1])
        size = max(1, min(CHUNK, MAX_NUMBERS[split.inputs.device.type] // numbers))
        for first in range(0, len(split), size):
            examples = split[first : first + size]
            input_masks = self._input_masks(examples.inputs)
            matrices = examples.inputs.unsqueeze(0)
            if input_masks is not None:
                matrices = matrices * input_masks
            masks = {
                layer: self._mask(layer, p_keep, len(examples))
                for layer, p_keep in self._p_keeps.items()
            }
            shared = SharedInputs(matrices, self._readers)
            yield _Chunk(
                examples, input_masks, masks, self._network.forward(parameters, shared, masks)
            )

    def _input_masks(
        self, inputs: Float[Tensor, "chunk features"]
    ) -> Float[Tensor, "matrices chunk features"] | None:
        """Return the inputs' dropout factors for every p_keep, None if all are kept."""
        if self._draws is None or min(self._input_p_keeps) == 1:
            return None
        draws = self._draws.draw(0, inputs.shape, inputs.device)
        masks = [dropout_mask(draws, p_keep, inputs.dtype) for p_keep in self._input_p_keeps]
        return torch.stack(masks)

    def _mask(
        self, layer: int, p_keep: Float[Tensor, "part 1 1"], num_examples: int
    ) -> Float[Tensor, "part units chunk"]:
        assert self._draws is not None
        shape = torch.Size((num_examples, self._network.layers[layer - 1].num_units))
        return dropout_mask(self._draws.draw(layer, shape, p_keep.device).T, p_keep, p_keep.dtype)

    def _attacked_logits(
        self, chunk: _Chunk, parameters: Parameters
    ) -> Float[Tensor, "part classes chunk"]:
        """Return the logits of the perturbed examples, with the same units dropped.

        Each member's examples are perturbed in their own way: blocks of members bound the memory.
        """
        done, examples = chunk.done, chunk.examples
        delta = self._output_errors(done.logits, examples.labels)
        *_, (_, error) = self._network.errors(delta, done, parameters, chunk.masks)
        size = max(1, MAX_NUMBERS[error.device.type] // examples.inputs.numel())
        blocks = [slice(first, first + size) for first in range(0, len(error), size)]
        logits = [self._logits_of_block(block, error, chunk, parameters) for block in blocks]
        # Where ε is 0 nothing changes, but products of another shape would round otherwise.
        return torch.where(self._members.epsilons == 0, done.logits, torch.cat(logits))

    def _logits_of_block(
        self,
        block: slice,
        error: Float[Tensor, "part _units chunk"],
        chunk: _Chunk,
        parameters: Parameters,
    ) -> Float[Tensor, "block classes chunk"]:
        """Return some members' logits of the perturbed examples from δ^1, all members' error."""
        assert self._attack is not None
        own = [[tensor[block] for tensor in layer] for layer in parameters]
        read = chunk.done.read[0]
        units = read if isinstance(read, SharedInputs) else read[block]
        below = self._network.layers[0].backward(own[0], cast("Tensor", units), error[block])
        inputs, gradient = chunk.examples.inputs.unsqueeze(0), below.mT
        epsilons = self._members.epsilons[block]
        if chunk.input_masks is None:
            perturbed = self._attack(inputs, gradient, epsilons)
        else:
            dropped = chunk.input_masks[self._matrix_of_member[block]]
            perturbed = self._attack(inputs, gradient * dropped, epsilons) * dropped
        shared = SharedInputs(perturbed, Readers([1] * len(perturbed)))
        masks = {layer: mask[block] for layer, mask in chunk.masks.items()}
        return self._network.forward(own, shared, masks).logits

    def _output_errors(
        self, logits: Float[Tensor, "part classes chunk"], labels: Int[Tensor, " chunk"]
    ) -> Float[Tensor, "part classes chunk"]:
        """Return δ^L of each example, each member by its own loss."""
        delta = torch.empty_like(logits)
        for loss, members in self._members.losses:
            delta[members] = loss.error(logits[members], labels.unsqueeze(0))
        return delta

    def _losses(
        self, logits: Float[Tensor, "part classes chunk"], labels: Int[Tensor, " chunk"]
    ) -> Float[Tensor, " part"]:
        sums = torch.empty(len(logits), dtype=torch.float64, device=logits.device)
        for loss, members in self._members.losses:
            values = loss.value(logits[members], labels.unsqueeze(0))
            sums[members] = values.sum(1, dtype=torch.float64)
        return sums


def _likeliest(logits: Float[Tensor, "part classes chunk"]) -> Integer[Tensor, "part chunk"]:
    """Return the class with the largest logit, the first of several.

    As argmax, which is thirty times slower along this dimension; comparing into floats is six
    times as quick on a CPU as into booleans.
    """
    num_classes = logits.shape[1]
    from_last = torch.arange(num_classes, 0, -1, dtype=logits.dtype, device=logits.device)
    is_largest = torch.eq(logits, logits.amax(1, keepdim=True), out=torch.empty_like(logits))
    places = num_classes - is_largest.mul_(from_last.unsqueeze(-1)).amax(1)
    places.clamp_(max=num_classes - 1)  # none is largest if one is NaN
    return places.to(class_dtype(num_classes))
