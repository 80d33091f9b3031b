"""What everything is compared with: one network, trained by autograd and torch.optim."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn, optim
from torch.nn import functional as F  # noqa: N812  (torch's own convention)
from torch.optim.lr_scheduler import (
    ConstantLR,
    CosineAnnealingLR,
    ExponentialLR,
    LinearLR,
    LRScheduler,
    SequentialLR,
    StepLR,
)

from pipeline.config.schema import Config, LossConfig, OptimizerConfig, RegularizerConfig
from pipeline.data.tensors import Data, Split
from pipeline.engine.dropout import Draws, active_probabilities, dropout_mask
from pipeline.engine.initialization import draw_weights_and_biases
from pipeline.engine.streams import example_order, generator

ACTIVATIONS = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "identity": lambda z: z,
    "gelu": F.gelu,
    "silu": F.silu,
    "elu": F.elu,
    "leaky_relu": F.leaky_relu,
}

ATTACKS = {
    "fgsm": lambda inputs, gradient, epsilon: inputs + epsilon * gradient.sign(),
}


@dataclass
class Oracle:
    """A network, and what it has been measured at."""

    config: Config
    data: Data
    parameters: list[nn.Parameter] = field(default_factory=list[nn.Parameter])
    """Weights and biases in turn, layer by layer."""
    epochs: dict[int, dict[str, float]] = field(default_factory=dict[int, dict[str, float]])
    predictions: Tensor = field(default_factory=lambda: torch.empty(0))
    """Of the test examples, after the last epoch."""


def train(config: Config, data: Data) -> Oracle:
    """Train a network as its config says, but for early stopping.

    Raises:
        FloatingPointError: with (epoch, step), both from 1, of the first loss that isn't finite.
    """
    oracle = Oracle(config, data, _initial_parameters(config, data))
    optimizer = _make_optimizer(oracle.parameters, config.optimizer)
    steps_per_epoch = -(-len(data.train) // config.data.batch_size)
    scheduler = make_scheduler(optimizer, config, steps_per_epoch)
    draws = Draws(config.seed, "train")
    num_left = config.trainer.max_steps or math.inf
    for epoch in range(1, config.trainer.max_epochs + 1):
        draws.start_epoch(epoch)
        order = example_order(config.seed, epoch, len(data.train))
        rate = config.optimizer.lr
        for step, rows in enumerate(torch.split(order, config.data.batch_size), start=1):
            logits = _logits(oracle, data.train.inputs[rows], draws, "train")
            losses = loss(config.loss, config.model.output, logits, data.train.labels[rows])
            objective = losses.mean() + penalty(config.regularizer, oracle.parameters[::2])
            if not objective.isfinite():
                raise FloatingPointError(epoch, step)
            optimizer.zero_grad()
            objective.backward()
            if config.optimizer.clip_norm is not None:
                nn.utils.clip_grad_norm_(oracle.parameters, config.optimizer.clip_norm)
            optimizer.step()
            rate = float(scheduler.get_last_lr()[0])
            scheduler.step()
            num_left -= 1
            if num_left == 0:
                break
        is_last = num_left == 0 or epoch == config.trainer.max_epochs
        if is_last or epoch % config.trainer.evaluate_every == 0:
            oracle.epochs[epoch] = _evaluate(oracle, epoch)
            if not config.schedule.is_constant:
                oracle.epochs[epoch]["train/lr"] = rate
        if is_last:
            break
    return oracle


def _initial_parameters(config: Config, data: Data) -> list[nn.Parameter]:
    dtype = getattr(torch, config.trainer.precision)
    stream = generator(config.seed, "weights")
    parameters: list[nn.Parameter] = []
    widths = [data.num_features, *config.model.hidden, data.num_classes]
    for fan_in, fan_out in itertools.pairwise(widths):
        drawn = draw_weights_and_biases(config.model, fan_in, fan_out, stream)
        parameters += [nn.Parameter(tensor.to(dtype)) for tensor in drawn]
    return parameters


def _make_optimizer(parameters: list[nn.Parameter], config: OptimizerConfig) -> optim.Optimizer:
    shared: dict[str, Any] = {"lr": config.lr, "weight_decay": config.weight_decay}
    if config.name in ("adam", "adamw"):
        kind = optim.AdamW if config.name == "adamw" else optim.Adam
        assert config.betas is not None
        return kind(
            parameters, betas=(config.betas[0], config.betas[1]), **shared, eps=config.eps or 0.0
        )
    momentum = config.momentum or 0.0
    if config.name == "rmsprop":
        assert config.alpha is not None
        return optim.RMSprop(
            parameters, alpha=config.alpha, eps=config.eps or 0.0, momentum=momentum, **shared
        )
    # torch refuses Nesterov's with momentum 0, where it changes nothing.
    nesterov = config.name == "nesterov" and momentum > 0
    return optim.SGD(parameters, momentum=momentum, nesterov=nesterov, **shared)


def make_scheduler(optimizer: optim.Optimizer, config: Config, steps_per_epoch: int) -> LRScheduler:
    """Return torch's own scheduler of a config, to be advanced after every step."""
    schedule = config.schedule
    warm_up = round(schedule.warmup_epochs * steps_per_epoch)
    num_steps = min(config.trainer.max_epochs * steps_per_epoch, config.trainer.max_steps or 10**9)
    gamma, every = schedule.gamma or 0.0, schedule.every_epochs or 0
    lowest = config.optimizer.lr * (schedule.end_factor or 0.0)
    main = {
        "constant": lambda: ConstantLR(optimizer, factor=1.0),
        "step": lambda: StepLR(optimizer, every * steps_per_epoch, gamma),
        "exponential": lambda: ExponentialLR(optimizer, gamma ** (1 / steps_per_epoch)),
        "cosine": lambda: CosineAnnealingLR(optimizer, max(num_steps - warm_up, 1), lowest),
    }[schedule.name]()
    if warm_up == 0:
        return main
    rising = LinearLR(optimizer, start_factor=1 / warm_up, total_iters=warm_up - 1)
    return SequentialLR(optimizer, [rising, main], milestones=[warm_up])


def _logits(oracle: Oracle, inputs: Tensor, draws: Draws, purpose: str) -> Tensor:
    """Return the logits, (batch, classes), with the units dropped that the purpose drops."""
    config = oracle.config
    layers = list(zip(oracle.parameters[::2], oracle.parameters[1::2], strict=True))
    p_keeps = active_probabilities(config.dropout, len(layers), purpose)

    def drop(layer: int, units: Tensor) -> Tensor:
        if p_keeps[layer] == 1:
            return units
        drawn = draws.draw(layer, units.shape, units.device)
        return units * dropout_mask(drawn, p_keeps[layer], units.dtype)

    units = drop(0, inputs)
    for number, (weights, biases) in enumerate(layers, start=1):
        z = F.linear(units, weights, biases)
        units = drop(
            number, z if number == len(layers) else ACTIVATIONS[config.model.activation](z)
        )
    return units


def loss(config: LossConfig, output: str, logits: Tensor, labels: Tensor) -> Tensor:
    """Return the loss of every example of logits (batch, classes), by torch's own functions."""
    smoothing = config.label_smoothing
    if config.name == "nll":
        return F.cross_entropy(logits, labels, reduction="none", label_smoothing=smoothing)
    if config.name == "focal":
        losses = F.cross_entropy(logits, labels, reduction="none")
        return losses * (1 - (-losses).exp()) ** (config.gamma or 0.0)
    a = logits.softmax(-1) if output == "softmax" else logits.sigmoid()
    y = F.one_hot(labels, logits.shape[-1]).to(a.dtype)
    terms = {
        "mse": lambda: F.mse_loss(a, y, reduction="none"),
        "quadratic": lambda: F.mse_loss(a, y, reduction="none") / 2,
        "ce": lambda: cross_entropies(
            output, logits, y * (1 - smoothing) + smoothing / y.shape[-1]
        ),
        "huber": lambda: F.huber_loss(a, y, reduction="none", delta=config.delta or 0.0),
    }[config.name]()
    return terms.mean(-1) if config.reduction == "mean" else terms.sum(-1)


def cross_entropies(output: str, logits: Tensor, targets: Tensor) -> Tensor:
    """Return that of every output. F.binary_cross_entropy loses the digits of 1 - a near a = 1."""
    if output == "sigmoid":
        return F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    log_a = logits.log_softmax(-1)
    itself = torch.eye(logits.shape[-1], dtype=torch.bool)
    log_not_a = log_a.unsqueeze(-2).masked_fill(itself, -torch.inf).logsumexp(-1)
    return -(targets * log_a + (1 - targets) * log_not_a)


def penalty(config: RegularizerConfig, weights: list[nn.Parameter]) -> Tensor:
    """Return λ times the penalty of all weights."""
    l1 = sum(matrix.abs().sum() for matrix in weights)
    l2 = sum(matrix.square().sum() for matrix in weights) / 2
    ratios = {"none": 0.0, "l1": 1.0, "l2": 0.0, "elastic": config.l1_ratio or 0.0}
    ratio = ratios[config.name]
    return torch.as_tensor(config.strength * (ratio * l1 + (1 - ratio) * l2))


@torch.no_grad()
def _evaluate(oracle: Oracle, epoch: int) -> dict[str, float]:
    metrics: dict[str, float] = {}
    config, num_classes = oracle.config, oracle.data.num_classes
    for name in ("train", "val", "test"):
        split: Split = getattr(oracle.data, name)
        if len(split) == 0:
            continue
        draws = Draws(config.seed, "evaluate")
        draws.start_epoch(epoch)
        logits = _logits(oracle, split.inputs, draws, "evaluate")
        losses = loss(config.loss, config.model.output, logits, split.labels)
        predictions = logits.argmax(-1)
        right = predictions == split.labels
        metrics |= {
            f"{name}/loss": losses.mean().item(),
            f"{name}/accuracy": right.double().mean().item(),
        }
        if name == "test":
            oracle.predictions = predictions
            shares = [right[split.labels == k].double().mean() for k in range(num_classes)]
            metrics["test/lost_classes"] = float(sum(bool(share < 0.5) for share in shares))
    if config.attack.name != "none":
        metrics |= _attack(oracle, epoch)
    return metrics


def _attack(oracle: Oracle, epoch: int) -> dict[str, float]:
    """Return the metrics on perturbed test examples; the same units are dropped each time."""
    config, test = oracle.config, oracle.data.test

    def logits_of(inputs: Tensor) -> Tensor:
        draws = Draws(config.seed, "evaluate")
        draws.start_epoch(epoch)
        return _logits(oracle, inputs, draws, "evaluate")

    with torch.enable_grad():
        inputs = test.inputs.clone().requires_grad_()
        losses = loss(config.loss, config.model.output, logits_of(inputs), test.labels)
        (gradient,) = torch.autograd.grad(losses.sum(), inputs)
    perturbed = ATTACKS[config.attack.name](test.inputs, gradient, config.attack.epsilon)
    logits = logits_of(perturbed)
    outputs = logits.softmax(-1) if config.model.output == "softmax" else logits.sigmoid()
    predictions = logits.argmax(-1)
    is_wrong = predictions != test.labels
    confidences = outputs.gather(-1, predictions.unsqueeze(-1)).squeeze(-1)
    return {
        "test/adversarial_accuracy": 1 - is_wrong.double().mean().item(),
        "test/adversarial_confidence": confidences[is_wrong].mean().item(),
    }
