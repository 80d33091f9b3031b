"""The LightningModule of a fused group: K runs train as one network with a leading member axis."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

import torch
from jaxtyping import Float, Int
from pytorch_lightning import LightningModule
from torch import Tensor

from pipeline.config.schema import Config
from pipeline.data.tensors import Data
from pipeline.engine.cuda_graph import Replayed
from pipeline.engine.dropout import Draws
from pipeline.engine.members import Members
from pipeline.engine.module import STEPS_PER_CALL, diverged, make_parameters
from pipeline.engine.step import FusedStep
from pipeline.engine.streams import example_order
from pipeline.engine.update_rules import make_update_rule

__all__ = ["FusedModule"]


class FusedModule(LightningModule):
    """Trains K networks at once; each takes the steps that it would take alone."""

    def __init__(self, configs: Sequence[Config], data: Data) -> None:
        """Take the members' configs, in the order of `sort_members`, and their data."""
        super().__init__()
        self.automatic_optimization = False
        self.configs = list(configs)
        self.data = data
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

    def state(self) -> dict[str, Tensor]:
        """Return weights, biases and the update rule's state by name; members lead in each."""
        return {**dict(self.named_buffers()), **self._rule.state()}

    def load_state(self, state: Mapping[str, Tensor], rows: Sequence[int]) -> None:
        """Put a state back, once training has been set up.

        Args:
            state: of a group that these members are of.
            rows: each member's place in that group.
        """
        for name, tensor in self.state().items():
            tensor.copy_(state[name][list(rows)])

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
        self.members = Members(self.configs, self.device)
        self.data = self.data.to(self.device, self.weights[0].dtype)
        self._rule = make_update_rule(
            [*self.weights, *self.biases], [config.optimizer for config in self.configs]
        )
        last_size = len(self.data.train) % self.batch_size or self.batch_size
        self._step_of_size = {size: self._make_step(size) for size in (self.batch_size, last_size)}
        self._checks = self.biases[-1].new_zeros(STEPS_PER_CALL, *self.biases[-1].shape)
        self._draws = [Draws(seed, "train") for seed in self.members.seeds]

    def _make_step(self, size: int) -> tuple[FusedStep, Callable[[], None]]:
        """Return the step for mini-batches of a size, and what takes it."""
        step = FusedStep(size, self.members, self.weights, self.biases, self._rule, self.data.train)
        return step, Replayed(step) if self.device.type == "cuda" else step

    @torch.no_grad()
    def on_train_epoch_start(self) -> None:
        """Draw each seed's order of examples; restart the dropout streams."""
        epoch = self.current_epoch + 1
        num_examples = len(self.data.train)
        orders = [example_order(seed, epoch, num_examples) for seed in self.members.seeds]
        self._order: Int[Tensor, "seeds examples"] = torch.stack(orders).to(self.device)
        self._bad_step = torch.full((len(self.configs),), self.num_steps, device=self.device)
        for draws in self._draws:
            draws.start_epoch(epoch)

    @torch.no_grad()
    def training_step(self, first_step: int) -> None:
        """Take up to STEPS_PER_CALL steps of all members, beginning with number `first_step`.

        The device is asked for nothing before the epoch's last call.
        """
        last_step = min(first_step + STEPS_PER_CALL, self.num_steps)
        for step_number in range(first_step, last_step):
            first = step_number * self.batch_size
            rows = self._order[:, first : first + self.batch_size]
            step, take = self._step_of_size[rows.shape[1]]
            step.load(rows, self._draws)
            take()
            self._checks[step_number - first_step].copy_(step.last_gradient)
        self._note_bad_steps(first_step, last_step - first_step)
        if last_step == self.num_steps:
            self._name_failures()

    def _note_bad_steps(self, first_step: int, num_steps: int) -> None:
        """Keep the number of each member's first step of this epoch that was not finite."""
        is_bad = ~self._checks[:num_steps].isfinite().all(-1)
        found = torch.where(is_bad.any(0), first_step + is_bad.int().argmax(0), self.num_steps)
        self._bad_step = torch.minimum(self._bad_step, found)

    def _name_failures(self) -> None:
        """Note the members whose numbers are no longer finite; the others aren't affected."""
        finite = torch.stack([matrix.flatten(1).isfinite().all(1) for matrix in self.weights])
        # Weights that went bad before the last step have shown in the next step's gradient.
        bad_step = torch.where(
            finite.all(0), self._bad_step, self._bad_step.clamp(max=self.num_steps - 1)
        )
        for member, step in enumerate(cast("list[int]", bad_step.tolist())):
            if step < self.num_steps and member not in self.failures:
                where = f"in epoch {self.current_epoch + 1} at step {step + 1} of {self.num_steps}"
                self.failures[member] = diverged("a gradient", where, self.configs[member])
