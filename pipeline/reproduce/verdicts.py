"""How a published number stands to ours: estimates over seeds, and verdicts by a stated rule."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from scipy import stats  # pyright: ignore[reportMissingTypeStubs]

__all__ = ["RULE", "Estimate", "Verdict", "judge", "paired_difference"]

CONFIDENCE = 0.95

CLOSE_ACCURACY = 0.01
"""The distance, one point of accuracy, up to which ours is close to the published one."""

CLOSE_LOSS = 0.05
"""The distance up to which a loss of ours is close, as a share of the published one."""

ROUNDING = 1e-9
"""Slack for rounding: a difference of exactly what is allowed is allowed."""

WIDE_SPREAD = 0.05
"""Standard deviation over seeds, in accuracy, from which one published run settles nothing."""

MIN_SEEDS = 3
"""With two, Student's t makes the interval 16 standard deviations wide to each side."""


class Verdict(StrEnum):
    """What comes of a comparison with a published number."""

    INSIDE = "inside"
    CLOSE = "close"
    DIFFERENT = "different"
    UNSETTLED = "not settled"
    TOO_FEW = "too few seeds"
    MISSING = "runs missing"

    @property
    def agrees(self) -> bool:
        """Whether ours is what was published, as far as one can tell."""
        return self in (Verdict.INSIDE, Verdict.CLOSE)


RULE = (
    f"**{Verdict.INSIDE}**: the published number lies where {CONFIDENCE:.0%} of further seeds "
    "would fall (Student's t prediction interval over our seeds); "
    f"**{Verdict.CLOSE}**: not so, but within ±{100 * CLOSE_ACCURACY:.0f} point of accuracy, or "
    f"±{CLOSE_LOSS:.0%} of a loss, of our mean; **{Verdict.DIFFERENT}**: neither; "
    f"**{Verdict.UNSETTLED}**: it lies inside, but our seeds themselves are spread by more than "
    f"{100 * WIDE_SPREAD:.0f} points (standard deviation), so that nearly anything would; "
    f"**{Verdict.TOO_FEW}**: not close, and fewer than {MIN_SEEDS} seeds, whose interval says "
    "nothing; "
    f"**{Verdict.MISSING}**: a seed has no finished run, so nothing is said."
)


@dataclass(frozen=True)
class Estimate:
    """A number over seeds; without runs, or for the widths with a single one, NaN."""

    values: tuple[float, ...]
    """The number of each seed that has a finished run."""
    num_seeds: int
    """How many seeds should have one."""

    @classmethod
    def over(cls, values: Sequence[float | None]) -> Estimate:
        """Return the estimate from a number for each seed, None where there is no finished run."""
        return cls(tuple(value for value in values if value is not None), len(values))

    @property
    def is_complete(self) -> bool:
        """Whether every seed has its run."""
        return len(self.values) == self.num_seeds

    @property
    def mean(self) -> float:
        """The mean over seeds."""
        return statistics.fmean(self.values) if self.values else math.nan

    @property
    def deviation(self) -> float:
        """The standard deviation over seeds."""
        return statistics.stdev(self.values) if len(self.values) > 1 else math.nan

    @property
    def half_width(self) -> float:
        """Half the width of the 95 % interval of the mean, by Student's t."""
        return self._quantile() * self.deviation / math.sqrt(max(1, len(self.values)))

    @property
    def prediction_half_width(self) -> float:
        """Half the width of the interval in which 95 % of single further seeds fall."""
        return self._quantile() * self.deviation * math.sqrt(1 + 1 / max(1, len(self.values)))

    def _quantile(self) -> float:
        if len(self.values) < 2:
            return math.nan
        return float(stats.t.ppf((1 + CONFIDENCE) / 2, len(self.values) - 1))


def judge(published: float, ours: Estimate, *, is_accuracy: bool) -> Verdict:
    """Return the verdict on a published number, by RULE.

    Args:
        published: an accuracy in [0, 1], or a loss.
        ours: the same over seeds.
        is_accuracy: which of the two.
    """
    if not ours.is_complete or not ours.values:
        return Verdict.MISSING
    difference = abs(published - ours.mean)
    close = CLOSE_ACCURACY if is_accuracy else CLOSE_LOSS * published
    is_close = difference <= close + ROUNDING
    if len(ours.values) < MIN_SEEDS:
        return Verdict.CLOSE if is_close else Verdict.TOO_FEW
    if difference <= ours.prediction_half_width + ROUNDING:
        is_wide = is_accuracy and ours.deviation > WIDE_SPREAD
        return Verdict.UNSETTLED if is_wide else Verdict.INSIDE
    return Verdict.CLOSE if is_close else Verdict.DIFFERENT


def paired_difference(first: Sequence[float | None], second: Sequence[float | None]) -> Estimate:
    """Return first - second, seed by seed; seeds without both don't count."""
    pairs = zip(first, second, strict=True)
    return Estimate.over([None if a is None or b is None else a - b for a, b in pairs])
