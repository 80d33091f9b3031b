"""A rate that stays as it is."""

from __future__ import annotations

import torch

from pipeline.engine.schedules import ByStep, Schedule

__all__ = ["Constant"]


class Constant(Schedule):
    """η throughout."""

    def factors(self, steps: ByStep) -> ByStep:
        """Return 1."""
        return torch.ones_like(steps)
