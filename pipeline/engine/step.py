"""One optimizer step of a group, its numbers in fixed places so that a GPU can replay it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from pipeline.data.tensors import Split
from pipeline.engine.dropout import Draws, dropout_mask
from pipeline.engine.first_layer import SharedInputs
from pipeline.engine.members import Members
from pipeline.engine.network import Network, Parameters
from pipeline.engine.optimizers import Optimizer

__all__ = ["Step"]

Target = tuple[Tensor, Tensor]
"""Some members' weights of a layer, and where their gradient goes."""


class Step:
    """Changes the members' parameters by one mini-batch: `load` says which, a call takes the step.

    A call only reads and writes tensors that stay where they are, draws nothing and asks the
    device for nothing, so that its kernels can be recorded once and replayed.
    """

    def __init__(
        self,
        batch_size: int,
        members: Members,
        network: Network,
        parameters: Parameters,
        optimizer: Optimizer,
        train: Split,
    ) -> None:
        """Make room for what a step needs.

        Args:
            batch_size: examples per mini-batch.
            members: who lies where, and what sets each apart.
            network: what all members have in common.
            parameters: changed in place.
            optimizer: over all parameters, layer by layer.
            train: the training set, on the device.
        """
        self._members = members
        self._network = network
        self._parameters = parameters
        self._optimizer = optimizer
        self._train = train
        # Plain descent adds -η δ aᵀ to the weights at once; the others need the gradients.
        self._descends = optimizer.is_plain_descent
        self._batch_size = batch_size
        self._scale = torch.full_like(optimizer.rates, 1 / batch_size).view(-1, 1, 1)
        self._targets = (
            parameters
            if self._descends
            else [[torch.empty_like(tensor) for tensor in layer] for layer in parameters]
        )
        self._strengths = [block.strength.clone() for block in members.regularized]
        # The blocks' rates, -λ, and where their product goes: what follows from the rates.
        self._following = [
            (optimizer.rates[block.members], -block.strength.view(-1), strength.view(-1))
            for block, strength in zip(members.regularized, self._strengths, strict=True)
        ]
        self._regularized = [self._find_regularized(number) for number in range(len(parameters))]
        self._make_room(batch_size)
        self.set_rates(optimizer.rates)

    def _find_regularized(self, number: int) -> list[Target]:
        """Return a layer's weights and their targets for each block of regularized members."""
        names = self._network.layers[number].parameter_names
        if "weight" not in names:
            return []
        place = names.index("weight")
        weights, target = self._parameters[number][place], self._targets[number][place]
        return [
            (weights[block.members], target[block.members]) for block in self._members.regularized
        ]

    def _make_room(self, batch_size: int) -> None:
        members, inputs = self._members, self._train.inputs
        self._rows = torch.empty(
            len(members.seeds), batch_size, dtype=torch.int64, device=inputs.device
        )
        num_features = inputs.shape[1]
        batches = inputs.new_empty(*self._rows.shape, num_features)
        self._flat_rows, self._flat_batches = self._rows.view(-1), batches.flatten(0, 1)
        self._batches = SharedInputs(batches, members.readers)
        widths = [num_features, *(layer.num_units for layer in self._network.layers)]
        self._p_keeps = members.p_keeps("train", len(self._network.layers))
        self._draws = {
            layer: torch.empty(
                *self._rows.shape, widths[layer], dtype=torch.float32, device=inputs.device
            )
            for layer in self._p_keeps
        }
        if 0 in self._draws:
            num_matrices = len(members.input_matrices)
            dropped = inputs.new_empty(num_matrices, batch_size, num_features)
            self._dropped_batches = SharedInputs(dropped, members.readers)

    def load(self, rows: Int[Tensor, "seeds batch"], draws: Sequence[Draws]) -> None:
        """Say which examples the next step is about, seed by seed, and draw for its dropout."""
        self._rows.copy_(rows)
        for layer, places in self._draws.items():
            for place, stream in zip(places, draws, strict=True):
                stream.draw_into(place, layer)

    def set_rates(self, rates: Float[Tensor, " members"]) -> None:
        """Say what every member's learning rate is from the next step on; 0 stops a member."""
        self._optimizer.rates.copy_(rates)
        if not self._descends:
            return
        torch.div(rates, -self._batch_size, out=self._scale.view(-1))
        for own_rates, strength, step in self._following:
            torch.mul(own_rates, strength, out=step)

    def __call__(self) -> None:
        """Take the step."""
        masks = self._masks()
        done = self._network.forward(self._parameters, self._fetch_inputs(), masks)
        delta = self._output_error(done.logits).mul_(self._scale)
        for number, error in self._network.errors(delta, done, self._parameters, masks):
            targets = self._targets[number - 1]
            if self._descends:
                self._add_regularizers(number)
            self._network.add_gradients(
                number, targets, error, done, self._parameters, accumulate=self._descends
            )
            if not self._descends:
                self._add_regularizers(number)
        if not self._descends:
            gradients = [tensor for layer in self._targets for tensor in layer]
            self._optimizer.clip(gradients)
            self._optimizer.step(gradients)

    def has_finite_objective(self) -> Bool[Tensor, " members"]:
        """Return whether what the step would descend is finite, member by member.

        That is the loss of every example of the batch and, for those with a regularizer, its mean
        plus λ times its value.
        """
        done = self._network.forward(self._parameters, self._fetch_inputs(), self._masks())
        losses = self._losses(done.logits)
        finite = losses.isfinite().all(1)
        means = losses.mean(1)
        for number, block in enumerate(self._members.regularized):
            weights = [layer[number][0] for layer in self._regularized if layer]
            total = torch.stack([block.regularizer.value(tensor) for tensor in weights]).sum(0)
            strength = block.strength.flatten()
            regularized = means[block.members] + strength * total
            finite[block.members] &= regularized.isfinite() | (strength == 0)
        return finite

    def _add_regularizers(self, number: int) -> None:
        """Add the regularizers' gradients, or plain descent's steps along them."""
        blocks = zip(
            self._members.regularized, self._strengths, self._regularized[number - 1], strict=False
        )
        for block, strength, (weights, target) in blocks:
            gradient = block.regularizer.gradient(weights)
            target.addcmul_(gradient, strength.view(-1, *[1] * (gradient.ndim - 1)))

    def _fetch_inputs(self) -> SharedInputs:
        """Fetch each seed's batch; of seeds and p_keeps that drop inputs, a matrix for each."""
        torch.index_select(self._train.inputs, 0, self._flat_rows, out=self._flat_batches)
        if 0 not in self._draws:
            return self._batches
        dropped = self._dropped_batches.matrices
        places = zip(dropped, self._members.input_matrices, strict=True)
        for matrix, (seed, p_keep) in places:
            number = self._members.seeds.index(seed)
            mask = dropout_mask(self._draws[0][number], p_keep, self._members.dtype)
            torch.mul(self._batches.matrices[number], mask, out=matrix)
        return self._dropped_batches

    def _masks(self) -> dict[int, Float[Tensor, "members units batch"]]:
        """Return the dropout factors of every layer above the inputs that some member drops."""
        if not self._p_keeps:
            return {}
        seeds = self._members.seed_of_member
        return {
            layer: dropout_mask(self._draws[layer].mT[seeds], p_keep, p_keep.dtype)
            for layer, p_keep in self._p_keeps.items()
            if layer > 0
        }

    def _targets_of(self, members: Tensor | slice) -> Int[Tensor, "#members batch"]:
        """Return the right classes of the batch, for some members or, where it is one, for all."""
        targets = self._train.labels.index_select(0, self._flat_rows).view(self._rows.shape)
        return targets if len(targets) == 1 else targets[self._members.seed_of_member[members]]

    def _output_error(
        self, logits: Float[Tensor, "members classes batch"]
    ) -> Float[Tensor, "members classes batch"]:
        """Return δ^L of each example, each member by its own loss."""
        losses = self._members.losses
        if len(losses) == 1:
            return losses[0][0].error(logits, self._targets_of(slice(None)))
        delta = torch.empty_like(logits)
        for loss, members in losses:
            delta[members] = loss.error(logits[members], self._targets_of(members))
        return delta

    def _losses(
        self, logits: Float[Tensor, "members classes batch"]
    ) -> Float[Tensor, "members batch"]:
        """Return C of each example, each member by its own loss."""
        values = logits.new_empty(len(logits), logits.shape[2])
        for loss, members in self._members.losses:
            values[members] = loss.value(logits[members], self._targets_of(members))
        return values
