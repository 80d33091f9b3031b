"""The figure of which columns a network needs: what it loses where one tells nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeline.report.charts.spec import MAX_LABEL, TOLD, Spec, headed, interval, quantity

if TYPE_CHECKING:
    from pipeline.trained.importance import Importance

__all__ = ["importance_chart"]

MAX_COLUMNS = 30


def importance_chart(importances: Sequence[Importance], part: str) -> Spec:
    """Return the drop for each column with its interval, the largest first.

    Args:
        importances: one or more, in any order; of many, the largest are shown.
        part: which examples they were found on: validation or test.
    """
    ranked = sorted(importances, key=lambda it: -it.drop)
    data = [
        {"column": it.name, **interval(it.drop, it.low, it.high)} for it in ranked[:MAX_COLUMNS]
    ]
    left_out = len(ranked) - len(data)
    which = f"the {MAX_COLUMNS} most important columns; {left_out:,} more are left out"
    title = f"points of {part} accuracy lost by shuffling, 95 % interval"
    x = quantity("mean", title, from_zero=True)
    y: Spec = {"field": "column", "type": "nominal", "title": None}
    y["scale"] = {"domain": [it["column"] for it in data]}
    y["axis"] = {"labelLimit": MAX_LABEL}
    return {
        **headed(which if left_out else ""),
        "width": 400,
        "height": {"step": 20},
        "data": {"values": data},
        "layer": [
            {
                "mark": {"type": "rule", "color": "gray", "strokeDash": [4, 3]},
                "encoding": {"x": {"datum": 0}},
            },
            {
                "mark": "rule",
                "encoding": {"y": y, "x": x | {"field": "low"}, "x2": {"field": "high"}},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 60, "tooltip": TOLD},
                "encoding": {"y": y, "x": x},
            },
        ],
    }
