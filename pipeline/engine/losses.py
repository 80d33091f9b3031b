"""Losses: functions of (logits, targets) that return one value per example.

They are computed from the logits in a form that stays finite where ln a or ln(1 - a) would not.
To add one: a function here with `@_loss`, its YAML in conf/loss, a row in tests/test_losses.py.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (torch's own convention)

from pipeline.config.schema import LossConfig

__all__ = ["LOSSES", "Loss", "log_softmax_both_ways", "make_loss"]

Loss = Callable[[Float[Tensor, "*batch classes"], Int[Tensor, "*batch"]], Float[Tensor, "*batch"]]
"""(logits z^L, right class per example) → loss per example."""

LossFunction = Callable[
    [Float[Tensor, "*batch classes"], Int[Tensor, "*batch"], str, str], Float[Tensor, "*batch"]
]
"""The same, with the output function and how the outputs of an example are combined."""

LOSSES: dict[str, LossFunction] = {}


def _loss(function: LossFunction) -> LossFunction:
    LOSSES[function.__name__] = function
    return function


def make_loss(config: LossConfig, output: str) -> Loss:
    """Return the loss function of a config.

    Args:
        config: which loss, and whether an example's outputs are averaged or summed.
        output: "softmax" or "sigmoid", the output function that turns logits into activations.
    """
    function = LOSSES[config.name]

    def loss(
        logits: Float[Tensor, "*batch classes"], targets: Int[Tensor, "*batch"]
    ) -> Float[Tensor, "*batch"]:
        return function(logits, targets, output, config.reduction)

    return loss


@_loss
def mse(
    logits: Float[Tensor, "*batch classes"],
    targets: Int[Tensor, "*batch"],
    output: str,
    reduction: str,
) -> Float[Tensor, "*batch"]:
    """(a - y)² of every output."""
    return _combine(_differences(logits, targets, output).square(), reduction)


@_loss
def quadratic(
    logits: Float[Tensor, "*batch classes"],
    targets: Int[Tensor, "*batch"],
    output: str,
    reduction: str,
) -> Float[Tensor, "*batch"]:
    """½(a - y)² of every output; summed, it is Nielsen's quadratic cost (equation 6)."""
    return _combine(_differences(logits, targets, output).square() / 2, reduction)


@_loss
def ce(
    logits: Float[Tensor, "*batch classes"],
    targets: Int[Tensor, "*batch"],
    output: str,
    reduction: str,
) -> Float[Tensor, "*batch"]:
    """-[y ln a + (1 - y) ln(1 - a)] of every output; summed, Nielsen's equation 63."""
    log_a, log_not_a = (log_softmax_both_ways if output == "softmax" else _log_sigmoid)(logits)
    return _combine(-torch.where(_one_hot(logits, targets), log_a, log_not_a), reduction)


@_loss
def nll(
    logits: Float[Tensor, "*batch classes"],
    targets: Int[Tensor, "*batch"],
    output: str,
    reduction: str,
) -> Float[Tensor, "*batch"]:
    """-ln a of the right class, for softmax outputs (Nielsen's equation 80)."""
    assert output == "softmax", output
    assert reduction == "mean", reduction
    if logits.ndim > 2:
        logits = logits.movedim(-1, 1)  # where cross_entropy wants the classes
    return F.cross_entropy(logits, targets, reduction="none")


def _combine(terms: Tensor, reduction: str) -> Tensor:
    return terms.mean(-1) if reduction == "mean" else terms.sum(-1)


def _one_hot(logits: Tensor, targets: Tensor) -> Tensor:
    classes = torch.arange(logits.shape[-1], device=logits.device)
    return targets.unsqueeze(-1) == classes


def _differences(logits: Tensor, targets: Tensor, output: str) -> Tensor:
    activations = logits.softmax(-1) if output == "softmax" else logits.sigmoid()
    return activations - _one_hot(logits, targets).to(logits.dtype)


def _log_sigmoid(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Return ln a and ln(1 - a) for a = σ(z)."""
    return F.logsigmoid(logits), F.logsigmoid(-logits)


def log_softmax_both_ways(
    logits: Float[Tensor, "*shape"], dim: int = -1
) -> tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"]]:
    """Return ln a and ln(1 - a) for a = softmax(z) along a dimension.

    1 - a cancels where a is near 1, which only the largest a can be; there it is the sum of the
    others, so ln(1 - a) is the log-sum-exp of the other logits less that of all.
    """
    log_a = torch.log_softmax(logits, dim=dim)
    largest = logits.argmax(dim, keepdim=True)
    is_largest = torch.zeros_like(logits, dtype=torch.bool).scatter_(dim, largest, value=True)
    others = log_a.masked_fill(is_largest, -torch.inf)
    log_not_largest = torch.logsumexp(others, dim=dim, keepdim=True)
    log_not_others = torch.log1p(-others.exp())
    return log_a, torch.where(is_largest, log_not_largest, log_not_others)
