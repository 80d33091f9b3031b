"""The LightningModule: a group of K ≥ 1 runs trains as one network with a leading member axis."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

import torch
from jaxtyping import Float, Int
from pytorch_lightning import LightningModule
from torch import Tensor

from pipeline.config.schema import Config
from pipeline.data.tensors import Data
from pipeline.engine.activations import make_activation
from pipeline.engine.cuda_graph import Replayed
from pipeline.engine.divergence import EpochStart, find_suspects
from pipeline.engine.dropout import Draws
from pipeline.engine.members import Members
from pipeline.engine.network import Network, make_layers
from pipeline.engine.optimizers import make_optimizer
from pipeline.engine.precision import parameter_dtype, product_dtype, products_of_training
from pipeline.engine.schedules import Rates
from pipeline.engine.step import Step
from pipeline.engine.streams import example_order, generator

__all__ = ["STEPS_PER_CALL", "GroupModule"]

STEPS_PER_CALL = 50
"""Optimizer steps per training_step: Lightning's cost per call is that of several small steps."""


class GroupModule(LightningModule):
    """Trains K networks at once; each takes the steps that it would take alone."""

    def __init__(
        self, configs: Sequence[Config], data: Data, network: Network | None = None
    ) -> None:
        """Draw the initial parameters.

        Args:
            configs: of the members, in the order of `sort_members`.
            data: that they learn from.
            network: another one than the members' model says.
        """
        super().__init__()
        self.automatic_optimization = False
        self.configs = list(configs)
        self.data = data
        model = configs[0].model
        self.network = network or Network(
            make_layers(model, data.num_features, data.num_classes), make_activation(model)
        )
        for names, tensors in zip(self._names, self._draw_parameters(), strict=True):
            for name, tensor in zip(names, tensors, strict=True):
                self.register_buffer(name, tensor)
        self.failures: dict[int, str] = {}
        """Members that have diverged, and how."""
        self.last_rates: Float[Tensor, " members"] = torch.empty(0)
        """The learning rates of the step that was taken last, if they change at all."""
        self.stopped: set[int] = set()
        """Members that have stopped early, whose parameters change no more."""

    @property
    def _names(self) -> list[list[str]]:
        """The names of each layer's parameters."""
        return [
            [f"layer{number}_{name}" for name in layer.parameter_names]
            for number, layer in enumerate(self.network.layers, start=1)
        ]

    def _draw_parameters(self) -> list[list[Float[Tensor, "members ..."]]]:
        """Return every layer's initial parameters, each member's from its own seed's stream."""
        dtype = parameter_dtype(self.configs[0].trainer)
        by_layer: list[list[list[Tensor]]] = [[] for _ in self.network.layers]
        for config in self.configs:
            stream = generator(config.seed, "weights")
            for layer, of_members in zip(self.network.layers, by_layer, strict=True):
                drawn = layer.initial_parameters(config.model, stream)
                of_members.append([tensor.to(dtype) for tensor in drawn])
        return [
            [torch.stack(tensors) for tensors in zip(*members, strict=True)] for members in by_layer
        ]

    @property
    def layer_parameters(self) -> list[list[Float[Tensor, "members ..."]]]:
        """Each layer's parameters, for a dense one its weights W^l and biases b^l."""
        return [[self.get_buffer(name) for name in names] for names in self._names]

    def parameters_of(self, member: int) -> dict[str, Float[Tensor, "*shape"]]:
        """Return a member's parameters under the names "layer1.weight", "layer1.bias" and so on."""
        return {
            name.replace("_", ".", 1): self.get_buffer(name)[member]
            for names in self._names
            for name in names
        }

    @property
    def active(self) -> list[int]:
        """The members that still train: they have neither diverged nor stopped."""
        over = self.failures.keys() | self.stopped
        return [member for member in range(len(self.configs)) if member not in over]

    def state(self) -> dict[str, Tensor]:
        """Return parameters and the optimizer's memory by name; members lead in each."""
        return {**dict(self.named_buffers()), **self._optimizer.state()}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Put a state back, once training has been set up."""
        for name, tensor in self.state().items():
            tensor.copy_(state[name])

    def stop(self, members: Sequence[int]) -> None:
        """Let no later step change these members, while the others go on."""
        self.stopped.update(members)
        self._rates.stop(members)
        self._optimizer.rates[list(members)] = 0
        for step, _ in self._step_of_size.values():
            step.set_rates(self._optimizer.rates)

    @property
    def batch_size(self) -> int:
        """Examples per mini-batch."""
        return self.configs[0].data.batch_size

    @property
    def num_steps(self) -> int:
        """Optimizer steps per epoch."""
        return -(-len(self.data.train) // self.batch_size)

    @property
    def num_epochs(self) -> int:
        """Epochs that training begins unless it stops early."""
        return self.configs[0].trainer.num_epochs(self.num_steps)

    def train_dataloader(self) -> range:
        """Return the first step of every call of training_step; the examples are in memory."""
        return range(0, self.num_steps, STEPS_PER_CALL)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """Return none: those of `pipeline.engine.optimizers` take the steps."""
        return []

    def on_fit_start(self) -> None:
        """Put everything where the parameters are, and make room for what every step needs."""
        parameters = self.layer_parameters
        self.members = Members(self.configs, self.device)
        self.data = self.data.to(self.device, parameters[0][0].dtype)
        self._train = self.data.train.to(self.device, product_dtype(self.configs[0].trainer))
        self._optimizer = make_optimizer(
            [tensor for layer in parameters for tensor in layer],
            [config.optimizer for config in self.configs],
        )
        self._rates = Rates(self.configs, self.num_steps)
        last_size = len(self.data.train) % self.batch_size or self.batch_size
        self._step_of_size = {size: self._make_step(size) for size in (self.batch_size, last_size)}
        self._draws = [Draws(seed, "train") for seed in self.members.seeds]

    def _make_step(self, size: int) -> tuple[Step, Callable[[], None]]:
        """Return the step for mini-batches of a size, and what takes it."""
        parameters = self.layer_parameters
        step = Step(size, self.members, self.network, parameters, self._optimizer, self._train)
        return step, Replayed(step) if self.device.type == "cuda" else step

    @torch.no_grad()
    def on_train_epoch_start(self) -> None:
        """Draw each seed's order of examples; restart the dropout streams."""
        epoch = self.current_epoch + 1
        num_examples = len(self.data.train)
        orders = [example_order(seed, epoch, num_examples) for seed in self.members.seeds]
        self._order: Int[Tensor, "seeds examples"] = torch.stack(orders).to(self.device)
        self._epoch_start = EpochStart(self.state(), self._names)
        for draws in self._draws:
            draws.start_epoch(epoch)

    @torch.no_grad()
    def training_step(self, first_step: int) -> None:
        """Take up to STEPS_PER_CALL steps of all members, beginning with number `first_step`.

        The device is asked for nothing before they are all taken. After the last step of all,
        which `trainer.max_steps` may say, training ends.
        """
        num_left = self.configs[0].trainer.num_steps(self.num_steps) - self._steps_before
        last_step = min(first_step + STEPS_PER_CALL, self.num_steps, num_left)
        with products_of_training(self.configs[0].trainer):
            self._take_steps(range(first_step, last_step))
            self._name_failures(last_step)
        if last_step == num_left:
            self.trainer.should_stop = True

    def _take_steps(self, numbers: range) -> None:
        for step_number, rates in zip(numbers, self._rates_at(numbers), strict=True):
            first = step_number * self.batch_size
            rows = self._order[:, first : first + self.batch_size]
            step, take = self._step_of_size[rows.shape[1]]
            step.load(rows, self._draws)
            if rates is not None:
                step.set_rates(rates)
            take()

    @property
    def _steps_before(self) -> int:
        """Optimizer steps before this epoch."""
        return self.current_epoch * self.num_steps

    def _rates_at(self, steps: range) -> Sequence[Float[Tensor, " members"] | None]:
        """Return the members' rates at some steps of this epoch; None where they stay the same."""
        if self._rates.is_constant:
            return [None] * len(steps)
        before = self._steps_before
        rates = self._rates.at(range(before + steps.start, before + steps.stop))
        self.last_rates = rates[-1]
        return rates.to(self._optimizer.rates).unbind()

    def _name_failures(self, num_steps: int) -> None:
        """Note the members that have diverged by now; if none is left, training ends."""
        flags = cast("list[bool]", find_suspects(self.layer_parameters).tolist())
        suspects = [member for member in self.active if flags[member]]
        if not suspects:
            return
        order = dict(zip(self.members.seeds, self._order, strict=True))
        epoch = self.current_epoch + 1
        found = self._epoch_start.explain(
            suspects, self.configs, self.network, self._train, order, epoch, num_steps
        )
        for member, (what, step) in found.items():
            where = f"in epoch {epoch} at step {step} of {self.num_steps}"
            self.failures[member] = _diverged(what, where, self.configs[member])
        self.trainer.should_stop = not self.active


def _diverged(what: str, where: str, config: Config) -> str:
    """Return the error text of a run whose numbers are no longer finite."""
    suspects = {
        "optimizer.lr": config.optimizer.lr,
        "optimizer.weight_decay": config.optimizer.weight_decay,
        "regularizer.strength": config.regularizer.strength,
        "model.init_std": config.model.init_std,
    }
    smaller = ", ".join(f"{key} than {value}" for key, value in suspects.items() if value)
    return f"{what} is not finite {where}: training diverged. Try a smaller {smaller}."
