"""The cell that the validation examples choose, and how much of its lead is luck."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean

import numpy as np

from pipeline.comparison.comparison import Chosen, Row
from pipeline.comparison.question import Metric
from pipeline.comparison.statistics import expected_highest_mean, expected_maximum

__all__ = ["choose"]


def choose(rows: Sequence[Row], metric: Metric) -> Chosen | None:
    """Return the complete cell with the best mean, or None if there is none.

    Args:
        rows: of a comparison by a metric of the validation examples.
        metric: that metric.
    """
    complete = [row for row in rows if row.scores and not row.holes]
    if metric.split != "val" or not complete:
        return None
    sign = 1 if metric.higher_is_better else -1
    row = max(complete, key=lambda row: sign * row.mean.value)
    center = fmean(other.mean.value for other in complete)
    error = _standard_error([other.scores for other in complete])
    signed = [sign * score for score in row.scores.values()]
    return Chosen(
        metric=metric.key,
        row=row,
        num_cells=len(complete),
        mean_of_cells=center,
        expected_if_alike=sign * expected_highest_mean(sign * center, error, len(complete)),
        best_run=max(row.runs, key=lambda run: sign * run.metrics[metric.key]),
        expected_best=sign * expected_maximum(signed, len(signed)),
    )


def _standard_error(scores: Sequence[Mapping[int, float]]) -> float:
    """Return the standard error of a cell's mean, less what all cells share seed by seed.

    It is that of a two-way table, cells by seeds, without interaction; NaN if there is but one
    cell, or fewer than two seeds that all have.
    """
    seeds = sorted(set(scores[0]).intersection(*scores[1:]))
    if len(seeds) < 2 or len(scores) < 2:
        return math.nan
    table = np.array([[of_cell[seed] for seed in seeds] for of_cell in scores])
    rest = table - table.mean(axis=0) - table.mean(axis=1, keepdims=True) + table.mean()
    freedom = (len(scores) - 1) * (len(seeds) - 1)
    return float(np.sqrt((rest**2).sum() / freedom / len(seeds)))
