"""A rate that falls by the same factor from step to step."""

from __future__ import annotations

from pipeline.engine.schedules import ByStep, Schedule, per_member

__all__ = ["Exponential"]


class Exponential(Schedule):
    """η γ^epochs, γ being `schedule.gamma`; within an epoch it falls at every step."""

    def factors(self, steps: ByStep) -> ByStep:
        """Return the power of γ."""
        gamma = per_member(config.gamma for config in self.configs)
        return gamma ** (steps / self.steps_per_epoch)
