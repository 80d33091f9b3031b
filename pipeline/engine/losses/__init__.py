"""Losses: functions of (logits, targets) with one value per example, each with its derivative.

They are computed from the logits in a form that stays finite where ln a or ln(1 - a) would not.
To add one: a module here with its class, its YAML in conf/loss, a row in
tests/engine/test_losses.py.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cache
from typing import cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from pipeline.config import registry
from pipeline.config.schema import LossConfig
from pipeline.engine.autodiff import gradient

__all__ = [
    "Logits",
    "Loss",
    "Losses",
    "OneHot",
    "Targets",
    "Wanted",
    "is_target",
    "make_loss",
    "smoothed",
]

Logits = Float[Tensor, "members classes batch"]
"""z^L, or a number for each of them; examples lie side by side."""
Targets = Int[Tensor, "#members batch"]
"""The right class of every example, for each member or for all."""
OneHot = Bool[Tensor, "#members classes batch"]
Wanted = Float[Tensor, "#members classes batch"]
"""What each output should be, for each member or for all."""
Losses = Float[Tensor, "members batch"]
"""C of every example."""


class Loss(ABC):
    """C of one example; the mean over the mini-batch is what training minimises.

    Examples lie side by side, one per column, with one network ("member") along the first axis.
    """

    def __init__(self, config: LossConfig, output: str) -> None:
        """Take what the loss is to be.

        Args:
            config: of this loss.
            output: "softmax" or "sigmoid", the function that makes activations of the logits.
        """
        self.config = config
        self.output = output

    @abstractmethod
    def value(self, logits: Logits, targets: Targets) -> Losses:
        """Return C of every example.

        Args:
            logits: z^L, before the output function.
            targets: the right class of every example, for each member or for all.
        """

    def error(self, logits: Logits, targets: Targets) -> Logits:
        """Return δ^L = ∂C/∂z^L of every example (BP1).

        By automatic differentiation at the logits, unless a loss has it written.
        """
        return gradient(lambda z: self.value(z, targets), logits)

    def activations(self, logits: Logits) -> Logits:
        """Return a^L, the output function of the logits."""
        return logits.softmax(1) if self.output == "softmax" else logits.sigmoid()

    def reduce(self, terms: Logits) -> Losses:
        """Combine the terms of an example's outputs as `loss.reduction` says."""
        return terms.mean(1) if self.config.reduction == "mean" else terms.sum(1)

    def share(self, logits: Logits) -> float:
        """Return the weight of one output's term in `reduce`: 1 / classes for the mean, else 1."""
        return 1 / logits.shape[1] if self.config.reduction == "mean" else 1.0


def is_target(logits: Logits, targets: Targets) -> OneHot:
    """Return the targets one-hot, as booleans."""
    return targets.unsqueeze(1) == _classes(logits.shape[1], logits.device)


def smoothed(logits: Logits, targets: Targets, smoothing: float) -> Wanted:
    """Return the targets as numbers: y (1 - ε) + ε / classes, y being one-hot.

    Args:
        logits: of which they are the targets.
        targets: the right class of every example, for each member or for all.
        smoothing: ε in [0, 1) (Szegedy et al., 2016, section 7).
    """
    y = is_target(logits, targets).to(logits.dtype)
    return y.mul_(1 - smoothing).add_(smoothing / logits.shape[1]) if smoothing else y


@cache
def _classes(number: int, device: torch.device) -> Int[Tensor, "classes 1"]:
    return torch.arange(number, device=device).unsqueeze(-1)


def make_loss(config: LossConfig, output: str) -> Loss:
    """Return the loss of a config.

    Args:
        config: which loss, its parameters, and whether an example's outputs are averaged or summed.
        output: "softmax" or "sigmoid".
    """
    return cast("Loss", registry.find("loss", config.name)(config, output))
