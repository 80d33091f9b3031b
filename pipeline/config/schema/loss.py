"""`loss`: what is minimised."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.config.options import one_of
from pipeline.config.registry import names
from pipeline.config.rules import LARGEST, require, require_unset
from pipeline.errors import UserError

__all__ = ["REDUCTIONS", "LossConfig"]

REDUCTIONS = ("mean", "sum")


@dataclass
class LossConfig:
    """What is minimised: a function of logits and targets, averaged over the mini-batch."""

    name: str = "nll"
    """A module of pipeline/engine/losses."""
    reduction: str = "mean"
    """How the outputs of one example are combined: mean or sum (nll has only one term)."""
    delta: float | None = None
    """huber only, > 0: the difference up to which it is quadratic; beyond, it is linear."""

    def __post_init__(self) -> None:
        """Check names."""
        one_of("loss.name", self.name, names("loss"))
        one_of("loss.reduction", self.reduction, REDUCTIONS)
        if self.name == "nll" and self.reduction == "sum":
            raise UserError(
                "loss.reduction=sum: nll has one term per example, so there is nothing to sum. "
                "Leave loss.reduction at mean, or choose loss=ce."
            )
        if self.name == "huber":
            in_range = self.delta is not None and 0 < self.delta <= LARGEST
            allowed = f"a number > 0 and ≤ {LARGEST:g}"
            require(in_range, "loss.delta", self.delta, allowed, "Try loss.delta=0.5.")
        else:
            remedy = "Choose loss=huber, or leave the key out."
            require_unset("loss.delta", self.delta, f"loss={self.name}", remedy)
