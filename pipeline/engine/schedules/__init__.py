"""Schedules: how the learning rate changes from step to step, for K networks at once.

Each gives the factor of `optimizer.lr` at any step, so that nothing has to be remembered and a run
can go on from wherever it stopped. Together with the warm-up they are torch.optim.lr_scheduler's,
advanced after every step. To add one: a module here with its class, its YAML in conf/schedule, a
row in tests/engine/test_schedules.py.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.config import registry
from pipeline.config.schema import Config, ScheduleConfig

__all__ = ["ByStep", "PerMember", "Rates", "Schedule", "per_member"]

ByStep = Float[Tensor, "steps members"]
"""A number for each member at each of some steps."""
PerMember = Float[Tensor, " members"]


class Schedule(ABC):
    """The factor of the learning rate once the warm-up is over, for members of one schedule."""

    def __init__(
        self, configs: Sequence[ScheduleConfig], steps_per_epoch: int, num_steps: PerMember
    ) -> None:
        """Take each member's config.

        Args:
            configs: of the members, all with this schedule.
            steps_per_epoch: optimizer steps per epoch.
            num_steps: steps from the end of each member's warm-up to the end of training, ≥ 1.
        """
        self.configs = configs
        self.steps_per_epoch = steps_per_epoch
        self.num_steps = num_steps

    @abstractmethod
    def factors(self, steps: ByStep) -> ByStep:
        """Return what the rate of each member is multiplied by at each step.

        Args:
            steps: whole numbers, counted from the end of each member's warm-up, ≥ 0.
        """


class Rates:
    """The learning rate of every member of a group at every step of training."""

    def __init__(self, configs: Sequence[Config], steps_per_epoch: int) -> None:
        """Take the members' configs.

        Args:
            configs: of the members.
            steps_per_epoch: optimizer steps per epoch.
        """
        own = [config.schedule for config in configs]
        self.is_constant = all(config.is_constant for config in own)
        """Whether no rate ever changes."""
        self._lr = per_member(config.optimizer.lr for config in configs)
        self._warm_up = per_member(round(config.warmup_epochs * steps_per_epoch) for config in own)
        num_steps = configs[0].trainer.num_steps(steps_per_epoch)
        after_warm_up = (num_steps - self._warm_up).clamp(min=1)
        self._schedules: list[tuple[Schedule, list[int]]] = []
        names = [config.name for config in own]
        for name in dict.fromkeys(names):
            mine = [member for member, other in enumerate(names) if other == name]
            kind = cast("type[Schedule]", registry.find("schedule", name))
            schedule = kind([own[member] for member in mine], steps_per_epoch, after_warm_up[mine])
            self._schedules.append((schedule, mine))

    def stop(self, members: Sequence[int]) -> None:
        """Let these members' rates be 0."""
        self._lr[list(members)] = 0

    def at(self, steps: range) -> ByStep:
        """Return the rates at some steps, in float64 on the CPU.

        Args:
            steps: counted from 0 at the start of training.
        """
        number = torch.tensor(steps, dtype=torch.float64).unsqueeze(1)
        after = (number - self._warm_up).clamp(min=0)
        factors = torch.empty_like(after)
        for schedule, members in self._schedules:
            factors[:, members] = schedule.factors(after[:, members])
        rising = (number + 1) / self._warm_up
        return torch.where(number < self._warm_up, rising, factors) * self._lr


def per_member(values: Iterable[float | None]) -> PerMember:
    """Return the members' numbers of a setting that each of their checked configs has."""
    return torch.tensor(list(values), dtype=torch.float64)
