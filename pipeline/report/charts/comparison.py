"""The figure of an answer: its cells side by side, and how they learned."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.comparison.cells import text
from pipeline.comparison.comparison import Answer, Row
from pipeline.comparison.statistics import mean_interval
from pipeline.comparison.units import metric_name
from pipeline.report.charts.spec import (
    COLORS,
    DASHES,
    MAX_LABEL,
    TOLD,
    Spec,
    interval,
    quantity,
    shortened,
)
from pipeline.tracking.record import CURVES, RunResult

__all__ = ["comparison_chart", "told_runs"]

MAX_CELLS = 40
"""Cells beside each other, at most: the best ones, and the baseline."""

MAX_CURVES = 6
"""Cells with a curve of their own, at most: as many as one can tell apart without colour."""

OWN = ("color", "shape", "strokeDash")
"""What each panel has a scale and a legend of its own for."""


def comparison_chart(answer: Answer, runs: Sequence[RunResult]) -> Spec:
    """Return the figure of an answer: means with intervals, and learning curves with bands.

    Args:
        answer: what to show.
        runs: those of `told_runs`, with their curves.
    """
    told = _told(answer)
    panels = [_means(answer, _ranked(answer)[:MAX_CELLS])]
    curves = _curves(answer.metric, told, {run.run_id: run for run in runs})
    if curves:
        panels.append(_learning(answer.metric, curves, [text(row.values) for row in told]))
    return {
        "title": {"text": shortened(answer.title, 100), "anchor": "start"},
        "hconcat": panels,
        "resolve": {part: dict.fromkeys(OWN, "independent") for part in ("scale", "legend")},
    }


def told_runs(answer: Answer) -> list[RunResult]:
    """Return the runs whose curves the figure of an answer shows."""
    return [run for row in _told(answer) for run in row.runs]


def _told(answer: Answer) -> list[Row]:
    """Return the rows that have a curve of their own."""
    return [row for row in _ranked(answer) if row.scores][:MAX_CURVES]


def _ranked(answer: Answer) -> list[Row]:
    """Return the rows, the baseline among the first ones that are shown, the best ones first."""
    sign = -1 if answer.higher_is_better else 1
    known = [row for row in answer.cells.rows if row.scores]
    best = sorted(known, key=lambda row: sign * row.mean.value)
    base = answer.cells.baseline
    first = best[: MAX_CURVES - 1] if base in best[MAX_CURVES - 1 :] else best[:MAX_CURVES]
    with_base = first if base in first or not base.scores else [*first, base]
    return [*with_base, *(row for row in best if row not in with_base)]


def _means(answer: Answer, rows: Sequence[Row]) -> Spec:
    """Return the panel of the cells: a point for each mean, a line for its interval."""
    name = metric_name(answer.metric)
    data = [
        {
            "cell": text(row.values),
            **interval(row.mean.value, row.mean.low, row.mean.high),
            "seeds": len(row.scores),
            "verdict": row.verdict.value,
        }
        for row in rows
    ]
    y: Spec = {"field": "cell", "type": "nominal", "sort": None, "title": None}
    y["axis"] = {"labelLimit": MAX_LABEL}
    x = quantity("mean", f"{name}, mean and 95 % interval")
    return {
        "width": 300,
        "height": {"step": 18},
        "data": {"values": data},
        "encoding": {"y": y},
        "layer": [
            {"mark": "rule", "encoding": {"x": x | {"field": "low"}, "x2": {"field": "high"}}},
            {
                "mark": {"type": "point", "filled": True, "size": 60, "tooltip": TOLD},
                "encoding": {
                    "x": x,
                    "shape": {"field": "verdict", "title": None, "legend": {"orient": "bottom"}},
                },
            },
        ],
    }


def _curves(
    metric: str, rows: Sequence[Row], runs: dict[str, RunResult]
) -> list[dict[str, str | float]]:
    """Return the mean of each cell by epoch, and where the seeds' interval ends."""
    if metric not in CURVES:
        return []
    points: list[dict[str, str | float]] = []
    for row in rows:
        curves = [runs[run.run_id].curves.get(metric, []) for run in row.runs]
        length = min(map(len, curves), default=0)
        for epoch, values in enumerate(np.array([it[:length] for it in curves]).T, start=1):
            if not np.isfinite(values).all():
                continue
            at = mean_interval(values.tolist())
            ends = interval(at.value, at.low, at.high)
            points.append({"cell": text(row.values), "epoch": epoch, **ends})
    return points


def _learning(metric: str, points: Sequence[dict[str, str | float]], order: Sequence[str]) -> Spec:
    """Return the panel of the learning curves."""
    cell: Spec = {"field": "cell", "type": "nominal", "title": None}
    color = cell | {"scale": {"domain": order, "range": COLORS[: len(order)]}}
    dash = cell | {"scale": {"domain": order, "range": DASHES[: len(order)]}}
    color["legend"] = {
        "orient": "bottom",
        "columns": 1,
        "labelLimit": MAX_LABEL,
        "symbolType": "stroke",
        "symbolOpacity": 1,
        "symbolStrokeWidth": 2,
    }
    x = quantity("epoch", "epoch") | {"axis": {"tickMinStep": 1, "format": "d"}}
    y = quantity("mean", metric_name(metric))
    band: Spec = {"x": x, "y": y | {"field": "low"}, "y2": {"field": "high"}, "color": color}
    line: Spec = {"x": x, "y": y, "color": color, "strokeDash": dash}
    return {
        "width": 340,
        "height": 240,
        "data": {"values": list(points)},
        "layer": [
            {"mark": {"type": "area", "opacity": 0.2}, "encoding": band},
            {"mark": {"type": "line", "point": True, "tooltip": TOLD}, "encoding": line},
        ],
    }
