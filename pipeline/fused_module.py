"""The LightningModule of a fused group: K runs train as one network with a leading member axis."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from pytorch_lightning import LightningModule
from torch import Tensor

from pipeline.backprop import Forward, add_gradient, errors, forward, output_error
from pipeline.config import Config
from pipeline.data.tensors import Data
from pipeline.dropout import Draws
from pipeline.members import Members
from pipeline.module import STEPS_PER_CALL, diverged, make_parameters
from pipeline.streams import example_order
from pipeline.update_rules import Sgd, make_update_rule

__all__ = ["FusedModule"]


class FusedModule(LightningModule):
    """Trains K networks at once; each takes the steps that it would take alone."""

    def __init__(self, configs: Sequence[Config], data: Data) -> None:
        """Take the members' configs, in the order of `sort_members`, and their data."""
        super().__init__()
        self.automatic_optimization = False
        self.configs = list(configs)
        self.data = data
        self.activation = configs[0].model.activation
        self.output = configs[0].model.output
        parameters = [make_parameters(config, data) for config in configs]
        self.num_layers = len(parameters[0])
        for layer in range(self.num_layers):
            weights = torch.stack([member[layer][0] for member in parameters])
            biases = torch.stack([member[layer][1] for member in parameters])
            self.register_buffer(f"weights{layer}", weights)
            self.register_buffer(f"biases{layer}", biases)
        self.failures: dict[int, str] = {}
        """Members whose numbers are no longer finite, and where that was seen."""

    @property
    def weights(self) -> list[Float[Tensor, "members _out _in"]]:
        """W^l, layer by layer."""
        return [self.get_buffer(f"weights{layer}") for layer in range(self.num_layers)]

    @property
    def biases(self) -> list[Float[Tensor, "members _out"]]:
        """b^l, layer by layer."""
        return [self.get_buffer(f"biases{layer}") for layer in range(self.num_layers)]

    @property
    def batch_size(self) -> int:
        """Examples per mini-batch."""
        return self.configs[0].data.batch_size

    @property
    def num_steps(self) -> int:
        """Optimizer steps per epoch."""
        return -(-len(self.data.train) // self.batch_size)

    def train_dataloader(self) -> range:
        """Return the first step of every call of training_step."""
        return range(0, self.num_steps, STEPS_PER_CALL)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """Return none: the update rules stand in `update_rules.py`."""
        return []

    def on_fit_start(self) -> None:
        """Put everything where the weights are, and make room for what every step needs."""
        weights, biases = self.weights, self.biases
        self.members = Members(self.configs, self.device)
        self.data = self.data.to(self.device, weights[0].dtype)
        self._weights, self._biases = weights, biases
        self._rule = make_update_rule(
            [*weights, *biases], [config.optimizer for config in self.configs]
        )
        # Plain descent adds -η δ aᵀ to the weights at once; the other rules need the gradients.
        self._descends_in_products = isinstance(self._rule, Sgd) and not self._rule.weight_decay
        self._step_sizes = -self._rule.lr[0]
        if not self._descends_in_products:
            self._weight_gradients = [torch.empty_like(matrix) for matrix in weights]
            self._bias_gradients = [torch.empty_like(vector) for vector in biases]
        self._draws = {seed: Draws(seed, "train") for seed in self.members.seeds}
        layers = range(1, self.num_layers + 1)
        p_keeps = {layer: self.members.p_keep(layer, "train") for layer in layers}
        self._p_keeps = {layer: p for layer, p in p_keeps.items() if p is not None}

    @torch.no_grad()
    def on_train_epoch_start(self) -> None:
        """Draw each seed's order of examples; restart the dropout streams."""
        epoch = self.current_epoch + 1
        num_examples = len(self.data.train)
        orders = [example_order(seed, epoch, num_examples) for seed in self.members.seeds]
        self._order: Int[Tensor, "seeds examples"] = torch.stack(orders).to(self.device)
        for draws in self._draws.values():
            draws.start_epoch(epoch)

    @torch.no_grad()
    def training_step(self, first_step: int) -> None:
        """Take up to STEPS_PER_CALL steps of all members, beginning with number `first_step`."""
        last_step = min(first_step + STEPS_PER_CALL, self.num_steps)
        sums = [self._step(step) for step in range(first_step, last_step)]
        self._note_failures(torch.stack(sums), first_step)

    def _step(self, step: int) -> Float[Tensor, " members"]:
        """Take one step; return a number per member that is finite if its gradient is."""
        rows = self._order[:, step * self.batch_size : (step + 1) * self.batch_size]
        weights, sharing = self._weights, self.members.sharing
        inputs = self._inputs(rows)
        masks = self._masks(rows.shape[1])
        done = forward(weights, self._biases, inputs, sharing, self.activation, masks)
        delta = self._output_error(done.logits, rows)
        finite = delta.sum((1, 2))
        for layer, error in errors(delta, done, weights, self.activation, masks):
            self._backward(layer, error, done, inputs)
        if not self._descends_in_products:
            self._rule.step([*self._weight_gradients, *self._bias_gradients])
        return finite

    def _backward(self, layer: int, delta: Tensor, done: Forward, inputs: Tensor) -> None:
        """Use a layer's error: leave its gradients, or for plain SGD take its step right away."""
        matrix, bias = self._weights[layer - 1], self._biases[layer - 1]
        sharing = self.members.sharing
        if self._descends_in_products:
            self._add_penalties(matrix, matrix, rate=self._step_sizes)
            scaled = delta * self._step_sizes
            bias.add_(scaled.sum(-1))
            add_gradient(matrix, scaled, layer, done, inputs, sharing, accumulate=True)
            return
        gradient = self._weight_gradients[layer - 1]
        add_gradient(gradient, delta, layer, done, inputs, sharing, accumulate=False)
        torch.sum(delta, dim=-1, out=self._bias_gradients[layer - 1])
        self._add_penalties(gradient, matrix, rate=None)

    def _inputs(self, rows: Int[Tensor, "seeds batch"]) -> Float[Tensor, "streams batch features"]:
        """Fetch the batch of every input stream, with its inputs dropped where they are."""
        members, train = self.members, self.data.train
        shape = (len(members.input_streams), rows.shape[1], train.inputs.shape[1])
        inputs = torch.empty(shape, dtype=train.inputs.dtype, device=rows.device)
        draws: dict[int, Tensor] = {}
        for matrix, (seed, p_keep) in zip(inputs, members.input_streams, strict=True):
            torch.index_select(train.inputs, 0, rows[members.seeds.index(seed)], out=matrix)
            if p_keep < 1:
                if seed not in draws:
                    draws[seed] = self._draws[seed].draw(0, matrix.shape, matrix.device)
                matrix.mul_((draws[seed] < p_keep).to(matrix.dtype).div_(p_keep))
        return inputs

    def _masks(self, batch: int) -> dict[int, Float[Tensor, "members units batch"]]:
        """Draw the dropout factors of every layer that some member drops."""
        masks: dict[int, Tensor] = {}
        for layer, p_keep in self._p_keeps.items():
            shape = torch.Size((batch, self._biases[layer - 1].shape[1]))
            drawn = [draws.draw(layer, shape, self.device) for draws in self._draws.values()]
            per_member = torch.stack(drawn).mT[self.members.seed_of_member]
            masks[layer] = (per_member < p_keep.float()).to(p_keep.dtype) / p_keep
        return masks

    def _output_error(
        self, logits: Float[Tensor, "members classes batch"], rows: Int[Tensor, "seeds batch"]
    ) -> Float[Tensor, "members classes batch"]:
        """Return δ^L of the mean over the batch, each member by its own loss."""
        labels = self.data.train.labels[rows]
        targets = labels if len(labels) == 1 else labels[self.members.seed_of_member]
        losses = self.members.losses
        if len(losses) == 1:
            return output_error(losses[0][0], self.output, logits, targets).div_(rows.shape[1])
        delta = torch.empty_like(logits)
        for loss, members in losses:
            own = targets if len(targets) == 1 else targets[members]
            delta[members] = output_error(loss, self.output, logits[members], own)
        return delta.div_(rows.shape[1])

    def _add_penalties(self, target: Tensor, matrix: Tensor, rate: Tensor | None) -> None:
        """Add the penalties' gradients, times a rate per member if there is one, to a target."""
        for block in self.members.penalties:
            strength = block.strength if rate is None else block.strength * rate[block.members]
            penalty = block.gradient(matrix[block.members], block.l1_ratio)
            target[block.members].addcmul_(penalty, strength)

    def _note_failures(self, sums: Float[Tensor, "steps members"], first_step: int) -> None:
        """Note the members whose numbers are no longer finite; the others aren't affected."""
        weights_finite = [matrix.flatten(1).isfinite().all(1) for matrix in self.weights]
        finite = sums.isfinite()
        healthy = torch.stack([finite.all(0), *weights_finite]).all(0)
        if healthy.all():
            return
        for member, is_healthy in enumerate(healthy):
            if is_healthy or member in self.failures:
                continue
            column = finite[:, member]
            last = len(sums) - 1
            step = first_step + (last if column.all() else int(column.int().argmin())) + 1
            where = f"in epoch {self.current_epoch + 1} at step {step} of {self.num_steps}"
            self.failures[member] = diverged("a gradient", where, self.configs[member])
