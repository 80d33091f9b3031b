"""Early stopping: a member stops when its val/loss has not improved for some evaluations."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["has_stopped"]


def has_stopped(val_losses: Sequence[float], patience: int) -> bool:
    """Return whether training should have stopped after these evaluations.

    It depends on the losses alone, so a run that goes on from a checkpoint stops where it would
    have stopped otherwise.

    Args:
        val_losses: of every evaluation so far, the first one first.
        patience: evaluations without a new lowest loss that are waited for, ≥ 1.
    """
    best, waited = math.inf, 0
    for loss in val_losses:
        waited = 0 if loss < best else waited + 1
        best = min(best, loss)
    return waited >= patience or not all(map(math.isfinite, val_losses[-1:]))
