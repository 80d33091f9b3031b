"""`loss`: what is minimised."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.config.options import one_of
from pipeline.config.registry import names
from pipeline.config.rules import LARGEST, require, require_unset
from pipeline.errors import UserError

__all__ = ["NEED_SOFTMAX", "REDUCTIONS", "LossConfig"]

REDUCTIONS = ("mean", "sum")
NEED_SOFTMAX = ("nll", "focal")
"""Losses of the right class's probability: one term per example, for softmax outputs."""


@dataclass
class LossConfig:
    """What is minimised: a function of logits and targets, averaged over the mini-batch."""

    name: str = "nll"
    """A module of pipeline/engine/losses."""
    reduction: str = "mean"
    """How the outputs of one example are combined: mean or sum (nll and focal have one term)."""
    delta: float | None = None
    """huber only, > 0: the difference up to which it is quadratic; beyond, it is linear."""
    label_smoothing: float = 0.0
    """nll and ce only, 0 ≤ ε < 1: of each target 1 - ε is kept, and ε is shared by all classes."""
    gamma: float | None = None
    """focal only, γ ≥ 0: how much less an example counts that is nearly right."""

    def __post_init__(self) -> None:
        """Check names and ranges."""
        one_of("loss.name", self.name, names("loss"))
        one_of("loss.reduction", self.reduction, REDUCTIONS)
        if self.name in NEED_SOFTMAX and self.reduction == "sum":
            raise UserError(
                f"loss.reduction=sum: {self.name} has one term per example, so there is nothing to "
                "sum. Leave loss.reduction at mean, or choose loss=ce."
            )
        self._check_delta()
        self._check_label_smoothing()
        self._check_gamma()

    def _check_delta(self) -> None:
        if self.name == "huber":
            in_range = self.delta is not None and 0 < self.delta <= LARGEST
            allowed = f"a number > 0 and ≤ {LARGEST:g}"
            require(in_range, "loss.delta", self.delta, allowed, "Try loss.delta=0.5.")
        else:
            remedy = "Choose loss=huber, or leave the key out."
            require_unset("loss.delta", self.delta, f"loss={self.name}", remedy)

    def _check_label_smoothing(self) -> None:
        key, value = "loss.label_smoothing", self.label_smoothing
        if self.name in ("nll", "ce"):
            require(0 <= value < 1, key, value, "a number, 0 ≤ ε < 1", "The usual one is 0.1.")
        else:
            require(value == 0, key, value, f"0 with loss={self.name}", "Choose loss=nll or ce.")

    def _check_gamma(self) -> None:
        if self.name == "focal":
            in_range = self.gamma is not None and 0 <= self.gamma <= LARGEST
            allowed = f"a number ≥ 0 and ≤ {LARGEST:g}"
            require(in_range, "loss.gamma", self.gamma, allowed, "The usual one is 2.")
        else:
            remedy = "Choose loss=focal, or leave the key out."
            require_unset("loss.gamma", self.gamma, f"loss={self.name}", remedy)
