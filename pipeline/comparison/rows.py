"""Rows of a comparison: means over seeds, differences to the baseline, verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from pipeline.comparison.cells import Cell, Cells, short_names
from pipeline.comparison.comparison import Comparison, Row, Verdict
from pipeline.comparison.question import Metric
from pipeline.comparison.statistics import (
    CONFIDENCE,
    Difference,
    bootstrap_interval,
    holm,
    is_equivalent,
    mean_interval,
    paired_difference,
    probability_of_improvement,
    seeds_needed,
)

__all__ = ["Level", "average", "compare"]


@dataclass(frozen=True)
class Level:
    """What a row stands for: one cell, or all that share a value, over which it averages."""

    values: dict[str, str]
    cells: list[Cell]

    def scores(self, metric: str) -> dict[int, float]:
        """Return a metric by seed, of the seeds that all its cells have."""
        by_cell = [
            {seed: run.metrics[metric] for seed, run in cell.runs.items() if metric in run.metrics}
            for cell in self.cells
        ]
        seeds = set(by_cell[0]).intersection(*by_cell[1:])
        return {seed: fmean(scores[seed] for scores in by_cell) for seed in sorted(seeds)}


def average(cells: Cells, over: Sequence[str]) -> list[Level]:
    """Return the levels of a comparison over some of the keys, averaged over the others.

    For every level it is over the same combinations of the others: those that are whole with all.
    """
    others = [key for key in cells.keys if key not in over]
    if not others:
        return [Level(cell.values, [cell]) for cell in cells.cells]
    by_place = {(_part(cell, over), _part(cell, others)): cell for cell in cells.cells}
    values = list(dict.fromkeys(place[0] for place in by_place))
    rests = list(dict.fromkeys(place[1] for place in by_place))
    balanced = [
        rest for rest in rests if all(_is_whole(by_place.get((value, rest))) for value in values)
    ]
    return [
        Level(dict(zip(over, value, strict=True)), [by_place[value, rest] for rest in balanced])
        for value in values
        if balanced
    ]


def _part(cell: Cell, keys: Sequence[str]) -> tuple[str, ...]:
    return tuple(cell.values[key] for key in keys)


def _is_whole(cell: Cell | None) -> bool:
    return cell is not None and bool(cell.runs) and not cell.holes


def compare(
    levels: Sequence[Level],
    metric: Metric,
    *,
    baseline: Mapping[str, str] | None,
    margin: float | None,
) -> Comparison:
    """Compare levels, at least one, with a baseline.

    Args:
        levels: in the order of the rows.
        metric: what to compare by.
        baseline: the values of the baseline; None for the first level.
        margin: differences smaller than this don't matter; None for the metric's own.
    """
    rows = [_row(level, metric) for level in levels]
    place = next((i for i, row in enumerate(rows) if row.values == baseline), 0)
    base = replace(rows[place], verdict=Verdict.BASELINE)
    margin = margin or metric.margin(base.mean.value)
    others = [row for i, row in enumerate(rows) if i != place]
    judged = iter(_judge(others, base, metric, margin))
    rows = [base if i == place else next(judged) for i in range(len(rows))]
    keys = list(base.values)
    return Comparison(keys, short_names(keys), rows, base, margin)


def _row(level: Level, metric: Metric) -> Row:
    scores, test = level.scores(metric.key), level.scores(metric.on("test"))
    train = level.scores(metric.on("train"))
    gaps = [metric.better_by(train[seed] - test[seed]) for seed in train.keys() & test.keys()]
    runs = [run for cell in level.cells for run in cell.runs.values()]
    seconds = [run.metrics["time/fit_s"] for run in runs if "time/fit_s" in run.metrics]
    values = list(scores.values())
    return Row(
        values=level.values,
        runs=runs,
        holes=[hole for cell in level.cells for hole in cell.holes],
        scores=scores,
        mean=mean_interval(values),
        interquartile_mean=bootstrap_interval([values]),
        test=mean_interval(list(test.values())),
        gap=mean_interval(gaps),
        seconds=fmean(seconds) if seconds else float("nan"),
    )


def _judge(rows: Sequence[Row], base: Row, metric: Metric, margin: float) -> list[Row]:
    """Return rows with their differences to the baseline and what those say."""
    differences = [
        None if row.holes or base.holes else paired_difference(row.scores, base.scores)
        for row in rows
    ]
    known = [difference for difference in differences if difference is not None]
    adjusted = iter(holm([difference.p for difference in known]))
    judged: list[Row] = []
    for row, difference in zip(rows, differences, strict=True):
        if difference is None:
            judged.append(replace(row, verdict=Verdict.INCOMPLETE))
            continue
        p = next(adjusted)
        verdict = _verdict(difference, p, metric, margin)
        more = {"num_comparisons": len(known)}
        needed = (
            seeds_needed(difference.deviation, difference.num_pairs, margin, **more)
            if verdict is Verdict.UNDECIDED
            else None
        )
        if needed is not None and needed <= difference.num_pairs:
            needed = None  # as many would have found a difference as large as the margin
        judged.append(
            replace(
                row,
                difference=difference,
                p=p,
                probability_of_improvement=_improvement(row, base, metric),
                verdict=verdict,
                seeds_needed=needed,
            )
        )
    return judged


def _verdict(difference: Difference, p: float, metric: Metric, margin: float) -> Verdict:
    if p < 1 - CONFIDENCE:
        is_better = metric.better_by(difference.value) > 0
        return Verdict.BETTER if is_better else Verdict.WORSE
    return Verdict.SAME if is_equivalent(difference, margin) else Verdict.UNDECIDED


def _improvement(row: Row, base: Row, metric: Metric) -> float:
    first, second = list(row.scores.values()), list(base.scores.values())
    better, worse = (first, second) if metric.higher_is_better else (second, first)
    return probability_of_improvement(better, worse)
