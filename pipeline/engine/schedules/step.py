"""A rate that falls every so many epochs."""

from __future__ import annotations

from pipeline.engine.schedules import ByStep, Schedule, per_member

__all__ = ["StepSchedule"]


class StepSchedule(Schedule):
    """η γ^⌊epochs / every⌋, γ and every being `schedule.gamma` and `schedule.every_epochs`."""

    def factors(self, steps: ByStep) -> ByStep:
        """Return the power of γ."""
        gamma = per_member(config.gamma for config in self.configs)
        every = per_member(config.every_epochs for config in self.configs) * self.steps_per_epoch
        return gamma ** steps.div(every, rounding_mode="floor")
