"""`schedule`: how the learning rate changes."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.config.options import one_of
from pipeline.config.registry import names
from pipeline.config.rules import LARGEST, require, require_unset

__all__ = ["ScheduleConfig"]


@dataclass
class ScheduleConfig:
    """How the learning rate changes from step to step; epochs count from the warm-up's end."""

    name: str = "constant"
    """A module of pipeline/engine/schedules."""
    warmup_epochs: float = 0.0
    """≥ 0 and < trainer.max_epochs, fractions too: the rate grows by the same with every step,
    until it is optimizer.lr at the last of them."""
    gamma: float | None = None
    """step and exponential only, 0 < γ ≤ 1: what the rate is multiplied by, every so many epochs
    and in every epoch."""
    every_epochs: int | None = None
    """step only, ≥ 1: epochs after which the rate falls."""
    end_factor: float | None = None
    """cosine only, from 0 to 1: the share of optimizer.lr that is left at the end of training."""

    @property
    def is_constant(self) -> bool:
        """Whether the rate never changes."""
        return self.name == "constant" and self.warmup_epochs == 0

    def __post_init__(self) -> None:
        """Check names and ranges."""
        one_of("schedule.name", self.name, names("schedule"))
        in_range = 0 <= self.warmup_epochs <= LARGEST
        require(in_range, "schedule.warmup_epochs", self.warmup_epochs, "a number of epochs ≥ 0")
        owner = f"schedule={self.name}"
        if self.name in ("step", "exponential"):
            falls = self.gamma is not None and 0 < self.gamma <= 1
            require(falls, "schedule.gamma", self.gamma, "a number, 0 < γ ≤ 1", "Try 0.5.")
        else:
            remedy = "Choose schedule=step or exponential."
            require_unset("schedule.gamma", self.gamma, owner, remedy)
        if self.name == "step":
            some = self.every_epochs is not None and self.every_epochs >= 1
            require(some, "schedule.every_epochs", self.every_epochs, "a whole number ≥ 1")
        else:
            remedy = "Choose schedule=step."
            require_unset("schedule.every_epochs", self.every_epochs, owner, remedy)
        if self.name == "cosine":
            in_range = self.end_factor is not None and 0 <= self.end_factor <= 1
            require(in_range, "schedule.end_factor", self.end_factor, "a number from 0 to 1")
        else:
            remedy = "Choose schedule=cosine."
            require_unset("schedule.end_factor", self.end_factor, owner, remedy)
