"""A rate that falls along half a cosine."""

from __future__ import annotations

import math

from pipeline.engine.schedules import ByStep, Schedule, per_member

__all__ = ["Cosine"]


class Cosine(Schedule):
    """η (e + (1 - e)(1 + cos πs)/2), s being the share of training that is done.

    e is `schedule.end_factor` (Loshchilov and Hutter, 2017, equation 5, without restarts).
    """

    def factors(self, steps: ByStep) -> ByStep:
        """Return the cosine between 1 and e."""
        end = per_member(config.end_factor for config in self.configs)
        share = (steps / self.num_steps).clamp(max=1)
        return end + (1 - end) * (1 + (math.pi * share).cos()) / 2
