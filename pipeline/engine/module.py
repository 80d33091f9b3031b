"""The LightningModule of one run: mini-batch descent by autograd, many steps per Lightning step."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float, Int
from pytorch_lightning import LightningModule
from torch import Tensor, optim

from pipeline.config.schema import Config
from pipeline.data.tensors import Data
from pipeline.engine.dropout import Dropout, active_probabilities
from pipeline.engine.losses import make_loss
from pipeline.engine.network import Network, Parameters, initial_parameters
from pipeline.engine.optimizers import make_optimizer
from pipeline.engine.regularizers import penalty
from pipeline.engine.streams import example_order, generator
from pipeline.errors import UserError

__all__ = ["ClassifierModule", "diverged", "make_parameters"]

STEPS_PER_CALL = 50
"""Optimizer steps per training_step: Lightning's cost per call is that of several small steps."""


class ClassifierModule(LightningModule):
    """Trains one network on examples that lie in memory, on the device."""

    def __init__(self, config: Config, data: Data) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.config = config
        self.data = data
        self.network = _make_network(config, data)
        self.loss = make_loss(config.loss, config.model.output)
        self._penalised = config.regularizer.strength > 0
        self._batches: tuple[Int[Tensor, " batch"], ...] = ()

        self._train_dropout = _make_dropout(config, "train")
        self.evaluation_dropout = _make_dropout(config, "evaluate")

    @property
    def num_steps(self) -> int:
        """Optimizer steps per epoch."""
        return -(-len(self.data.train) // self.config.data.batch_size)

    def state(self) -> dict[str, Tensor]:
        """Return the weights, biases and the optimizer's state by name."""
        parameters = dict(self.network.named_parameters())
        state: dict[str, Tensor] = {name: value.detach() for name, value in parameters.items()}
        for name, parameter in parameters.items():
            for key, value in self._optimizer().state.get(parameter, {}).items():
                if isinstance(value, Tensor):
                    state[f"optimizer.{name}.{key}"] = value
        return state

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Put a state back, once training has been set up."""
        optimizer = self._optimizer()
        with torch.no_grad():
            for name, parameter in self.network.named_parameters():
                parameter.copy_(state[name])
                prefix = f"optimizer.{name}."
                found = {
                    key.removeprefix(prefix): value.clone()
                    for key, value in state.items()
                    if key.startswith(prefix)
                }
                if found:
                    optimizer.state[parameter].update(found)

    def _optimizer(self) -> optim.Optimizer:
        optimizer = self.optimizers(use_pl_optimizer=False)
        assert isinstance(optimizer, optim.Optimizer)
        return optimizer

    def train_dataloader(self) -> range:
        """Return the first step of every call of training_step; the examples are in memory."""
        return range(0, self.num_steps, STEPS_PER_CALL)

    def configure_optimizers(self) -> optim.Optimizer:
        """Return the run's optimizer."""
        return make_optimizer(self.network.parameters(), self.config.optimizer)

    def on_fit_start(self) -> None:
        """Move the examples to where the network is."""
        self.data = self.data.to(self.device, self.network.weights[0].dtype)

    def on_train_epoch_start(self) -> None:
        """Draw the epoch's order of examples; restart the dropout streams."""
        epoch = self.current_epoch + 1
        order = example_order(self.config.seed, epoch, len(self.data.train))
        self._batches = order.to(self.device).split(self.config.data.batch_size)
        if self._train_dropout:
            self._train_dropout.start_epoch(epoch)

    def training_step(self, first_step: int) -> None:
        """Take up to STEPS_PER_CALL optimizer steps, beginning with number `first_step`.

        Raises:
            UserError: the loss or the weights are no longer finite.
        """
        optimizer = self._optimizer()
        parameters = list(self.network.parameters())
        objectives: list[Tensor] = []
        for rows in self._batches[first_step : first_step + STEPS_PER_CALL]:
            for parameter in parameters:
                parameter.grad = None
            objectives.append(self._backward(rows))
            optimizer.step()
        self._check_finite(objectives, first_step)

    def _backward(self, rows: Int[Tensor, " batch"]) -> Float[Tensor, " values"]:
        """Leave the gradients of the examples' mean loss, and of the penalty, in the parameters.

        Returns:
            The examples' losses, or the penalised mean: not finite if the step was not.
        """
        train = self.data.train
        logits = self.network(train.inputs.index_select(0, rows), self._train_dropout)
        losses = self.loss(logits, train.labels.index_select(0, rows))
        if not self._penalised:
            # The gradient of a mean is 1/n for each; given here, it saves a node of the graph.
            losses.backward(torch.full_like(losses, 1 / len(rows)))
            return losses.detach()
        weights = list(self.network.weights)
        objective = losses.mean() + penalty(self.config.regularizer, weights)
        objective.backward()
        return objective.detach().unsqueeze(0)

    def _check_finite(self, objectives: list[Tensor], first_step: int) -> None:
        parameters = [parameter.detach().flatten() for parameter in self.network.parameters()]
        if torch.cat([*objectives, *parameters]).isfinite().all():
            return
        bad = [step for step, values in enumerate(objectives) if not values.isfinite().all()]
        at_loss = bool(bad)
        # A weight that went bad before the last step would have shown in the next step's loss.
        step = first_step + (bad[0] if bad else len(objectives) - 1) + 1
        what = "the loss" if at_loss else "a weight"
        where = f"in epoch {self.current_epoch + 1} at step {step} of {self.num_steps}"
        raise UserError(diverged(what, where, self.config))


def _make_dropout(config: Config, purpose: str) -> Dropout | None:
    p_keeps = active_probabilities(config.dropout, len(config.model.hidden) + 1, purpose)
    return Dropout(p_keeps, config.seed, purpose) if min(p_keeps) < 1 else None


def _make_network(config: Config, data: Data) -> Network:
    return Network(make_parameters(config, data), config.model.activation)


def diverged(what: str, where: str, config: Config) -> str:
    """Return the error text of a run whose numbers are no longer finite.

    Args:
        what: "the loss", say.
        where: in which epoch and at which step.
        config: of the run.
    """
    suspects = {
        "optimizer.lr": config.optimizer.lr,
        "optimizer.weight_decay": config.optimizer.weight_decay,
        "regularizer.strength": config.regularizer.strength,
        "model.init_std": config.model.init_std,
    }
    smaller = ", ".join(f"{key} than {value}" for key, value in suspects.items() if value)
    return f"{what} is not finite {where}: training diverged. Try a smaller {smaller}."


def make_parameters(config: Config, data: Data) -> Parameters:
    """Return the initial weights and biases of a run: its config's scheme, its seed's stream."""
    return initial_parameters(
        [data.num_features, *config.model.hidden, data.num_classes],
        init=config.model.init,
        std=config.model.init_std,
        generator=generator(config.seed, "weights"),
        dtype=getattr(torch, config.trainer.precision),
    )
