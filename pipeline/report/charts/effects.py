"""The figures of single keys: what each value gives, averaged over the others, and its range."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

from pipeline.comparison.comparison import Answer, Comparison, Row
from pipeline.comparison.units import metric_name
from pipeline.report.charts.spec import TOLD, Spec, interval, quantity

__all__ = ["effects_chart", "sensitivity_chart", "single_keys"]

LOG_SPAN = 10
"""Values of a key that span more than this factor get a log scale."""

MAX_TICKS = 10
"""Values of a key that are all named on a log scale, at most."""


def single_keys(answer: Answer) -> list[Comparison]:
    """Return the comparisons of single keys: of a grid over one, that of its cells."""
    if answer.effects:
        return answer.effects
    return [answer.cells] if len(answer.cells.keys) == 1 else []


def effects_chart(answers: Sequence[Answer]) -> Spec | None:
    """Return a row for each metric with a panel for each key: the mean by its values.

    Args:
        answers: to the same question by one metric each.
    """
    rows = [
        {"hconcat": [_panel(effect, answer.metric) for effect in single_keys(answer)]}
        for answer in answers
        if single_keys(answer)
    ]
    return {"vconcat": rows} if rows else None


def _panel(effect: Comparison, metric: str) -> Spec:
    (key,) = effect.keys
    rows = [row for row in effect.rows if row.scores]
    values = [_number(row.values[key]) for row in rows]
    numbers = [value for value in values if value is not None]
    is_numeric = len(numbers) == len(rows) > 1
    data = [
        {
            "value": number if is_numeric else row.values[key] or "none",
            **interval(row.mean.value, row.mean.low, row.mean.high),
            "seeds": len(row.scores),
        }
        for row, number in zip(rows, values, strict=True)
    ]
    y = quantity("mean", metric_name(metric))
    ends = {"y": y | {"field": "low"}, "y2": {"field": "high"}}
    point = {"type": "point", "filled": True, "size": 50, "tooltip": TOLD}
    if is_numeric:
        marks = [
            {"mark": {"type": "area", "opacity": 0.2}, "encoding": ends},
            {"mark": "line", "encoding": {"y": y}},
        ]
        x = _tried(effect.names[key], numbers)
    else:
        marks = [{"mark": "rule", "encoding": ends}]
        x: Spec = {"field": "value", "type": "nominal", "title": effect.names[key], "sort": None}
        x["axis"] = {"labelAngle": -30}
    return {
        "width": 260,
        "height": 180,
        "data": {"values": data},
        "encoding": {"x": x},
        "layer": [*marks, {"mark": point, "encoding": {"y": y}}],
    }


def _tried(name: str, numbers: Sequence[float]) -> Spec:
    """Return the encoding of the values of a key, a tick at each; on a log scale if they span much.

    Zero among them lies as far below the smallest as a log scale makes it.
    """
    smallest = min((number for number in numbers if number > 0), default=0.0)
    is_log = min(numbers) >= 0 and max(numbers) > LOG_SPAN * smallest > 0
    x = quantity("value", f"{name} (log scale)" if is_log else name)
    if is_log:
        x["scale"] = {"type": "log"} if min(numbers) else {"type": "symlog", "constant": smallest}
    ticks = {"values": sorted(set(numbers)), "format": "~g", "labelOverlap": "greedy"}
    return x | {"axis": ticks} if is_log and len(ticks["values"]) <= MAX_TICKS else x


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def sensitivity_chart(answer: Answer) -> Spec | None:
    """Return how far the mean moves along each key, beside what another seed changes."""
    keys = single_keys(answer)
    if not keys:
        return None
    data = [{"what": effect.names[effect.keys[0]], "range": _range(effect)} for effect in keys]
    data.sort(key=lambda it: -float(it["range"]))
    data.append({"what": "another seed", "range": _spread(answer.cells.rows)})
    name = metric_name(answer.metric)
    y: Spec = {"field": "what", "type": "nominal", "sort": None, "title": None}
    is_seed = {"condition": {"test": "datum.what == 'another seed'", "value": 0.4}, "value": 1}
    return {
        "width": 400,
        "height": {"step": 22},
        "data": {"values": [it for it in data if not math.isnan(float(it["range"]))]},
        "mark": {"type": "bar", "tooltip": TOLD},
        "encoding": {
            "y": y,
            "x": quantity("range", f"highest less lowest mean {name}", from_zero=True),
            "opacity": is_seed,
        },
    }


def _range(effect: Comparison) -> float:
    means = [row.mean.value for row in effect.rows if row.scores]
    return max(means) - min(means)


def _spread(rows: Sequence[Row]) -> float:
    """Return the mean over cells of the range over their seeds."""
    ranges = [
        max(row.scores.values()) - min(row.scores.values()) for row in rows if len(row.scores) > 1
    ]
    return fmean(ranges) if ranges else math.nan
