"""Numbers of a metric as people read them: accuracies in percent, differences in points."""

from __future__ import annotations

import math

from pipeline.comparison.statistics import Difference, Interval

__all__ = ["Units", "metric_name", "p_text"]

SPLITS = {"val": "validation", "train": "train", "test": "test"}


def metric_name(key: str) -> str:
    """Return what a metric is called, such as "validation accuracy" for val/accuracy."""
    split, slash, name = key.rpartition("/")
    return f"{SPLITS.get(split, split)} {name}".replace("_", " ") if slash else key


def p_text(p: float) -> str:
    """Return a p-value as one writes it, with its relation: "p = 0.03", "p < 0.001"."""
    if math.isnan(p):
        return "no p"
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


class Units:
    """How values of a metric, and differences between them, are written."""

    def __init__(self, metric: str) -> None:
        """Take the metric's key."""
        self.is_share = metric.endswith("accuracy")

    def value(self, number: float) -> str:
        """Return a value, such as "92.13%"."""
        if math.isnan(number):
            return "–"
        return f"{100 * number:.2f}%" if self.is_share else f"{number:.4g}"

    def size(self, number: float) -> str:
        """Return the size of a difference, whatever its sign, such as "0.43 points"."""
        return f"{self._plain(abs(number))} points" if self.is_share else self._plain(abs(number))

    def difference(self, number: float) -> str:
        """Return a difference with its sign and without its unit, such as "+0.43"."""
        if math.isnan(number):
            return "–"
        sign = "−" if number < 0 else "+"
        return f"{sign}{self._plain(abs(number))}"

    def with_half(self, difference: Difference) -> str:
        """Return a difference and half the width of its interval, such as "+0.43 ± 0.12"."""
        half = difference.high - difference.value
        middle = self.difference(difference.value)
        return middle if math.isnan(half) else f"{middle} ± {self._plain(half)}"

    def plus_minus(self, interval: Interval) -> str:
        """Return a mean and half the width of its interval, such as "92.13 ± 0.11" percent."""
        if math.isnan(interval.value):
            return "–"
        scale = 100 if self.is_share else 1
        form = ".2f" if self.is_share else ".4g"
        middle = format(scale * interval.value, form)
        if math.isnan(interval.half_width):
            return middle
        half = ".2f" if self.is_share else ".2g"
        return f"{middle} ± {format(scale * interval.half_width, half)}"

    @property
    def unit(self) -> str:
        """What `plus_minus` and `difference` leave out: " in %" of accuracies."""
        return " in %" if self.is_share else ""

    @property
    def points(self) -> str:
        """The unit behind a difference of accuracies."""
        return " points" if self.is_share else ""

    @property
    def percent(self) -> str:
        """The sign behind an accuracy that was written without it."""
        return "%" if self.is_share else ""

    def _plain(self, number: float) -> str:
        return f"{100 * number:.2f}" if self.is_share else f"{number:.3g}"
