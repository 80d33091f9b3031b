"""The figure of the gap between training and validation examples, cell by cell."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from pipeline.comparison.cells import text
from pipeline.comparison.comparison import Answer, Row
from pipeline.report.charts.spec import COLORS, MAX_LABEL, TOLD, Spec, quantity

__all__ = ["gap_chart"]

MAX_CELLS = 40


def gap_chart(answer: Answer) -> Spec | None:
    """Return the mean accuracy on training and validation examples; None without these."""
    rows = [row for row in answer.cells.rows if row.runs][:MAX_CELLS]
    data = [
        {"cell": text(row.values), "examples": name, "accuracy": value}
        for row in rows
        for name, value in (("train", _mean(row, "train")), ("validation", _mean(row, "val")))
        if value is not None
    ]
    if len(data) < 2 * len(rows) or not rows:
        return None
    y: Spec = {"field": "cell", "type": "nominal", "sort": None, "title": None}
    y["axis"] = {"labelLimit": MAX_LABEL}
    x = quantity("accuracy", "accuracy, mean over seeds")
    shape = {"field": "examples", "type": "nominal", "title": None}
    return {
        "width": 400,
        "height": {"step": 18},
        "data": {"values": data},
        "encoding": {"y": y, "x": x},
        "layer": [
            {"mark": {"type": "line", "color": "gray"}, "encoding": {"detail": {"field": "cell"}}},
            {
                "mark": {"type": "point", "filled": True, "size": 60, "tooltip": TOLD},
                "encoding": {"shape": shape, "color": shape | {"scale": {"range": COLORS[:2]}}},
            },
        ],
    }


def _mean(row: Row, split: str) -> float | None:
    values = _known([run.metrics.get(f"{split}/accuracy") for run in row.runs])
    return fmean(values) if values else None


def _known(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None]
