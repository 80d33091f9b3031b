"""What is drawn of a sweep: its cells side by side, and how they learned. Vega-Lite, as PNG."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.comparison.cells import text
from pipeline.comparison.comparison import Answer, Row
from pipeline.comparison.statistics import mean_interval
from pipeline.comparison.units import metric_name
from pipeline.tracking.record import CURVES, RunResult

__all__ = ["comparison_chart", "save_png"]

Spec = dict[str, Any]
"""A figure in the Vega-Lite language (https://vega.github.io/vega-lite/)."""

MAX_CELLS = 40
"""Cells beside each other, at most: the best ones, and the baseline."""

MAX_CURVES = 6
"""Cells with a curve of their own, at most: as many as one can tell apart without colour."""

MAX_LABEL = 60

COLORS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"]
"""Okabe and Ito's, which colour-blind people can tell apart."""

DASHES = [[1, 0], [6, 3], [2, 2], [8, 2, 2, 2], [4, 1], [1, 3]]

OWN = ("color", "shape", "strokeDash")
"""What each panel has a scale and a legend of its own for."""

FONT = "DejaVu Sans"
"""It has every letter that is used, and comes with matplotlib."""


def comparison_chart(answer: Answer, runs: Sequence[RunResult]) -> Spec:
    """Return the figure of an answer: means with intervals, and learning curves with bands.

    Args:
        answer: what to show.
        runs: its runs, with their curves.
    """
    shown = _ranked(answer)
    told = [row for row in shown if row.scores][:MAX_CURVES]
    panels = [_means(answer, shown[:MAX_CELLS])]
    curves = _curves(answer.metric, told, {run.run_id: run for run in runs})
    if curves:
        panels.append(_learning(answer.metric, curves, [_label(row) for row in told]))
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "background": "white",
        "title": {"text": _short(answer.title, 100), "anchor": "start"},
        "hconcat": panels,
        "resolve": {part: dict.fromkeys(OWN, "independent") for part in ("scale", "legend")},
        "config": {"font": FONT, "axis": {"gridOpacity": 0.5}, "view": {"stroke": None}},
    }


def save_png(spec: Spec, path: Path) -> None:
    """Draw a figure into a PNG file."""
    import matplotlib as mpl
    import vl_convert

    vl_convert.register_font_directory(str(Path(mpl.get_data_path(), "fonts", "ttf")))
    path.write_bytes(vl_convert.vegalite_to_png(json.dumps(spec), scale=1.5))


def _ranked(answer: Answer) -> list[Row]:
    """Return the rows, the baseline among the first ones that are shown, the best ones first."""
    sign = -1 if answer.higher_is_better else 1
    known = [row for row in answer.cells.rows if row.scores]
    best = sorted(known, key=lambda row: sign * row.mean.value)
    base = answer.cells.baseline
    first = best[: MAX_CURVES - 1] if base in best[MAX_CURVES - 1 :] else best[:MAX_CURVES]
    with_base = first if base in first or not base.scores else [*first, base]
    return [*with_base, *(row for row in best if row not in with_base)]


def _label(row: Row) -> str:
    return _short(text(row.values), MAX_LABEL)


def _short(label: str, length: int) -> str:
    """Return a text cut in its middle: what sets cells apart is often at the end."""
    half = length // 2
    return label if len(label) <= length else f"{label[: half - 1]}…{label[-half:]}"


def _means(answer: Answer, rows: Sequence[Row]) -> Spec:
    """Return the panel of the cells: a point for each mean, a line for its interval."""
    name = metric_name(answer.metric)
    data = [
        {
            "cell": _label(row),
            "mean": row.mean.value,
            "low": _or(row.mean.low, row.mean.value),
            "high": _or(row.mean.high, row.mean.value),
            "verdict": row.verdict.value,
        }
        for row in rows
    ]
    y: Spec = {"field": "cell", "type": "nominal", "sort": None, "title": None}
    y["axis"] = {"labelLimit": 300}
    x: Spec = {"field": "mean", "type": "quantitative", "title": f"{name}, mean and 95 % interval"}
    x["scale"] = {"zero": False}
    return {
        "width": 300,
        "height": {"step": 18},
        "data": {"values": data},
        "encoding": {"y": y},
        "layer": [
            {"mark": "rule", "encoding": {"x": x | {"field": "low"}, "x2": {"field": "high"}}},
            {
                "mark": {"type": "point", "filled": True, "size": 60, "color": "black"},
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
            ends = {"low": _or(at.low, at.value), "high": _or(at.high, at.value)}
            points.append({"cell": _label(row), "epoch": epoch, "mean": at.value, **ends})
    return points


def _learning(metric: str, points: Sequence[dict[str, str | float]], order: Sequence[str]) -> Spec:
    """Return the panel of the learning curves."""
    cell: Spec = {"field": "cell", "type": "nominal", "title": None}
    color = cell | {"scale": {"domain": order, "range": COLORS[: len(order)]}}
    dash = cell | {"scale": {"domain": order, "range": DASHES[: len(order)]}}
    color["legend"] = {"orient": "bottom", "columns": 1, "labelLimit": 400, "symbolType": "stroke"}
    x: Spec = {"field": "epoch", "type": "quantitative", "title": "epoch"}
    x["axis"] = {"tickMinStep": 1, "format": "d"}
    x["scale"] = {"zero": False}
    y: Spec = {"field": "mean", "type": "quantitative", "title": metric_name(metric)}
    y["scale"] = {"zero": False}
    band: Spec = {"x": x, "y": y | {"field": "low"}, "y2": {"field": "high"}, "color": color}
    line: Spec = {"x": x, "y": y, "color": color, "strokeDash": dash}
    return {
        "width": 340,
        "height": 240,
        "data": {"values": list(points)},
        "layer": [
            {"mark": {"type": "area", "opacity": 0.2}, "encoding": band},
            {"mark": {"type": "line", "point": True}, "encoding": line},
        ],
    }


def _or(number: float, otherwise: float) -> float:
    return number if np.isfinite(number) else otherwise
