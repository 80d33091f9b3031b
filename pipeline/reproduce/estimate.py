"""Numbers over seeds: their mean, and where one more of their kind would fall."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats  # pyright: ignore[reportMissingTypeStubs]

__all__ = ["MIN_SEEDS", "Draws", "Interval", "Kind"]

MIN_SEEDS = 3
"""With two, Student's t makes the interval 16 standard deviations wide to each side."""

NUM_SIMULATED = 200_000
"""Draws of the best of several runs: the outer thousandth of them is still two hundred."""

ROUNDING = 1e-6
"""Slack for the rounding of float32: numbers that differ by less are the same."""

Kind = Literal["one", "mean", "best"]


@dataclass(frozen=True)
class Interval:
    """From its lower to its upper end, both part of it."""

    lower: float
    upper: float

    @property
    def half_width(self) -> float:
        """Half of its width."""
        return (self.upper - self.lower) / 2

    def holds(self, value: float) -> bool:
        """Return whether a value lies in it, but for rounding."""
        return self.lower - ROUNDING <= value <= self.upper + ROUNDING


@dataclass(frozen=True)
class Draws:
    """A number for each seed, and what is made of as many runs as a published number is of."""

    values: tuple[float, ...]
    """The number of each seed that has a finished run."""
    num_seeds: int
    """How many seeds should have one."""
    kind: Kind = "one"
    of: int = 1
    """Runs of which the mean, or the best, is meant."""
    rounding: float = 0.0
    """By how much a number may be off because it is printed rounded."""

    @classmethod
    def over(
        cls,
        values: Sequence[float | None],
        kind: Kind = "one",
        of: int = 1,
        rounding: float = 0.0,
    ) -> Draws:
        """Return the draws from a number for each seed, None where there is no finished run."""
        found = tuple(value for value in values if value is not None)
        return cls(found, len(values), kind, of, rounding)

    @property
    def is_complete(self) -> bool:
        """Whether every seed has its run."""
        return bool(self.values) and len(self.values) == self.num_seeds

    @property
    def mean(self) -> float:
        """The mean over seeds; NaN without runs."""
        return statistics.fmean(self.values) if self.values else math.nan

    @property
    def deviation(self) -> float:
        """The standard deviation over seeds; NaN with less than two runs."""
        return statistics.stdev(self.values) if len(self.values) > 1 else math.nan

    @property
    def center(self) -> float:
        """What is expected of one more: the mean, or of the best of several its median."""
        return float(np.median(self._simulated)) if self._is_best_of_several else self.mean

    def mean_interval(self, level: float = 0.95) -> Interval:
        """Return Student's t interval of the mean."""
        return self._around(level, 1 / max(1, len(self.values)))

    def interval(self, level: float) -> Interval:
        """Return the interval in which one more of its kind is printed, with a certain chance."""
        found = self._around(level, self._variance_share)
        if self._is_best_of_several:
            ends = np.quantile(self._simulated, [(1 - level) / 2, (1 + level) / 2])
            found = Interval(*map(float, ends))
        return Interval(found.lower - self.rounding, found.upper + self.rounding)

    def p_value(self, value: float) -> float:
        """Return the chance of one more that lies as far out as a value, to either side."""
        if self._is_best_of_several:
            above = float(np.mean(self._simulated >= value - self._slack))
            below = float(np.mean(self._simulated <= value + self._slack))
            return min(1.0, 2 * max(min(above, below), 1 / NUM_SIMULATED))
        return self._tails(value, self._variance_share)

    def log_density(self, value: float, least_spread: float) -> float:
        """Return the logarithm of the density of one more of its kind at a value (Student's t).

        Args:
            value: where.
            least_spread: the least that the standard deviation is taken for.
        """
        scale = max(self.deviation, least_spread) * math.sqrt(self._variance_share)
        density = stats.t.logpdf((value - self.center) / scale, len(self.values) - 1)
        return float(density) - math.log(scale)

    @property
    def _is_best_of_several(self) -> bool:
        return self.kind == "best" and len(self.values) > 1

    @property
    def _slack(self) -> float:
        return max(self.rounding, ROUNDING)

    @property
    def _variance_share(self) -> float:
        """The variance of the difference between one more and our mean, by that of a seed."""
        return 1 / (self.of if self.kind == "mean" else 1) + 1 / max(1, len(self.values))

    def _around(self, level: float, share: float) -> Interval:
        freedom = len(self.values) - 1
        quantile = float(stats.t.ppf((1 + level) / 2, freedom)) if freedom else math.nan
        half = quantile * self.deviation * math.sqrt(share)
        return Interval(self.mean - half, self.mean + half)

    def _tails(self, value: float, share: float) -> float:
        distance = max(0.0, abs(value - self.mean) - self._slack)
        scale = self.deviation * math.sqrt(share)
        if not scale:  # all seeds gave the same
            return float(distance == 0)
        return float(2 * stats.t.sf(distance / scale, len(self.values) - 1))

    @cached_property
    def _simulated(self) -> NDArray[np.float64]:
        """The best of `of` more runs, many times over, given what is not known of mean and spread.

        Seeds are taken for normally distributed; mean and variance are drawn from what is left
        unsure of them by the flat prior (Gelman et al., Bayesian Data Analysis, section 3.2).
        """
        freedom = len(self.values) - 1
        rng = np.random.default_rng(0)
        spread = self.deviation * np.sqrt(freedom / rng.chisquare(freedom, NUM_SIMULATED))
        means = self.mean + spread * rng.standard_normal(NUM_SIMULATED) / math.sqrt(freedom + 1)
        # The highest of k normal draws, by its distribution function Φ(z)^k.
        highest = stats.norm.ppf(rng.random(NUM_SIMULATED) ** (1 / self.of))
        return means + spread * highest
