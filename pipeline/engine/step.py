"""One optimizer step of a fused group, its numbers in fixed places so that a GPU can replay it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pipeline.data.tensors import Split
from pipeline.engine.backprop import Forward, add_gradient, errors, forward, output_error
from pipeline.engine.dropout import Draws, dropout_mask
from pipeline.engine.members import Members
from pipeline.engine.update_rules import Sgd, UpdateRule

__all__ = ["FusedStep"]


class FusedStep:
    """Changes the members' weights by one mini-batch: `load` says which, a call takes the step.

    A call only reads and writes tensors that stay where they are, draws nothing and asks the
    device for nothing, so that its kernels can be recorded once and replayed.
    """

    def __init__(
        self,
        batch_size: int,
        members: Members,
        weights: Sequence[Float[Tensor, "members _out _in"]],
        biases: Sequence[Float[Tensor, "members _out"]],
        rule: UpdateRule,
        train: Split,
    ) -> None:
        """Make room for what a step needs.

        Args:
            batch_size: examples per mini-batch.
            members: who lies where, and what sets each apart.
            weights: layer by layer; changed in place, like the biases.
            biases: layer by layer.
            rule: the update rule over the weights, then the biases.
            train: the training set, on the device.
        """
        self._members = members
        self._weights, self._biases = list(weights), list(biases)
        self._rule = rule
        self._train = train
        num_classes = biases[-1].shape[1]
        classes = torch.arange(num_classes, device=train.labels.device)
        self._one_hot = train.labels == classes.unsqueeze(1)
        config = members.configs[0].model
        self._activation, self._output = config.activation, config.output

        # Plain descent adds -η δ aᵀ to the weights at once; the other rules need the gradients.
        self._descends = isinstance(rule, Sgd) and rule.weight_decay is None
        self._targets = self._weights if self._descends else [torch.empty_like(w) for w in weights]
        self._bias_gradients = [torch.empty_like(bias) for bias in biases]
        rate = -rule.lr[0] if self._descends else torch.ones_like(rule.lr[0])
        self._scale = rate / batch_size
        self._penalties = [
            [
                (
                    block,
                    block.strength * rate[block.members],
                    target[block.members],
                    matrix[block.members],
                )
                for block in members.penalties
            ]
            for target, matrix in zip(self._targets, self._weights, strict=True)
        ]

        device = members.device
        self._rows = torch.empty(len(members.seeds), batch_size, dtype=torch.int64, device=device)
        features = train.inputs.shape[1]
        self._batches = train.inputs.new_empty(*self._rows.shape, features)
        widths = [features, *(bias.shape[1] for bias in biases)]
        self._p_keeps = {
            layer: p_keep
            for layer in range(len(widths))
            if (p_keep := members.p_keep(layer, "train")) is not None
        }
        self._draws = {
            layer: torch.empty(*self._rows.shape, widths[layer], dtype=torch.float32, device=device)
            for layer in self._p_keeps
        }
        if 0 in self._draws:
            streams = len(members.input_streams)
            self._inputs = train.inputs.new_empty(streams, batch_size, features)

    @property
    def last_gradient(self) -> Float[Tensor, "members classes"]:
        """∂C/∂b^L of the last step, in some scale: not finite if the step was not."""
        return self._bias_gradients[-1]

    def load(self, rows: Int[Tensor, "seeds batch"], draws: Sequence[Draws]) -> None:
        """Say which examples the next step is about, seed by seed, and draw for its dropout."""
        self._rows.copy_(rows)
        for layer, places in self._draws.items():
            for place, stream in zip(places, draws, strict=True):
                stream.draw_into(place, layer)

    def __call__(self) -> None:
        """Take the step."""
        inputs, masks = self._fetch_inputs(), self._masks()
        done = forward(
            self._weights, self._biases, inputs, self._members.sharing, self._activation, masks
        )
        delta = self._output_error(done.logits)
        for layer, error in errors(delta, done, self._weights, self._activation, masks):
            self._backward(layer, error, done, inputs)
        if not self._descends:
            self._rule.step([*self._targets, *self._bias_gradients])

    def _backward(self, layer: int, delta: Tensor, done: Forward, inputs: Tensor) -> None:
        """Use a layer's error: leave its gradients, or for plain SGD take its step right away."""
        scaled = delta * self._scale
        bias, target = self._biases[layer - 1], self._targets[layer - 1]
        sharing = self._members.sharing
        torch.sum(scaled, dim=-1, out=self._bias_gradients[layer - 1])
        if self._descends:
            bias.add_(self._bias_gradients[layer - 1])
            self._add_penalties(layer)
            add_gradient(target, scaled, layer, done, inputs, sharing, accumulate=True)
        else:
            add_gradient(target, scaled, layer, done, inputs, sharing, accumulate=False)
            self._add_penalties(layer)

    def _add_penalties(self, layer: int) -> None:
        """Add the penalties' gradients, or plain descent's steps along them, to their target."""
        for block, strength, target, matrix in self._penalties[layer - 1]:
            target.addcmul_(block.gradient(matrix, block.l1_ratio), strength)

    def _fetch_inputs(self) -> Float[Tensor, "streams batch features"]:
        """Fetch each seed's batch and return that of every input stream, some inputs dropped."""
        batches = self._batches
        torch.index_select(self._train.inputs, 0, self._rows.flatten(), out=batches.flatten(0, 1))
        if 0 not in self._draws:
            return batches
        for matrix, (seed, p_keep) in zip(self._inputs, self._members.input_streams, strict=True):
            number = self._members.seeds.index(seed)
            mask = dropout_mask(self._draws[0][number], p_keep, matrix.dtype)
            torch.mul(batches[number], mask, out=matrix)
        return self._inputs

    def _masks(self) -> dict[int, Float[Tensor, "members units batch"]]:
        """Return the dropout factors of every layer above the inputs that some member drops."""
        masks: dict[int, Tensor] = {}
        for layer, p_keep in self._p_keeps.items():
            if layer > 0:
                draws = self._draws[layer].mT[self._members.seed_of_member]
                masks[layer] = (draws < p_keep.float()).to(p_keep.dtype) / p_keep
        return masks

    def _output_error(
        self, logits: Float[Tensor, "members classes batch"]
    ) -> Float[Tensor, "members classes batch"]:
        """Return δ^L of each example, each member by its own loss."""
        seeds, batch = self._rows.shape
        columns = self._one_hot.index_select(1, self._rows.flatten())
        targets = columns.view(-1, seeds, batch).transpose(0, 1)
        if seeds > 1:
            targets = targets[self._members.seed_of_member]
        losses = self._members.losses
        if len(losses) == 1:
            return output_error(losses[0][0], self._output, logits, targets)
        delta = torch.empty_like(logits)
        for loss, members in losses:
            own = targets if len(targets) == 1 else targets[members]
            delta[members] = output_error(loss, self._output, logits[members], own)
        return delta
