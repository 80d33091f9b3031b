"""An answer for machines: JSON, and a table with every number in full precision."""

from __future__ import annotations

import json
import math
from typing import Any, cast

from pipeline.comparison.comparison import Answer, Chosen, Comparison, Row

__all__ = ["as_json", "as_rows"]


def as_json(answer: Answer) -> str:
    """Return the answer as JSON; numbers that nobody knows are null."""
    return json.dumps(
        {
            "title": answer.title,
            "metric": answer.metric,
            "higher_is_better": answer.higher_is_better,
            "margin": _known(answer.margin),
            "baseline": answer.cells.baseline.values,
            "rows": _rows(answer.cells),
            "effects": [
                {"key": effect.keys[0], "baseline": effect.baseline.values, "rows": _rows(effect)}
                for effect in answer.effects
            ],
            "chosen": answer.chosen and _chosen(answer.chosen),
            "holes": [vars(hole) for hole in answer.holes],
            "notes": answer.notes,
            "commands": answer.commands,
        },
        indent=2,
    )


def _chosen(chosen: Chosen) -> dict[str, Any]:
    """Return what validation chose, beside what luck alone would have reached."""
    plain = {
        "cell": chosen.row.values,
        "mean": chosen.row.mean.value,
        "run_id": chosen.best_run.run_id,
        "num_cells": chosen.num_cells,
        "mean_of_cells": chosen.mean_of_cells,
        "expected_if_alike": chosen.expected_if_alike,
        "expected_best": chosen.expected_best,
    }
    return {key: _known(value) for key, value in plain.items()}


def as_rows(answer: Answer) -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows of the table of all cells, as text."""
    rows = [{**row.pop("cell"), **row} for row in _rows(answer.cells)]
    header = list(rows[0])
    texts = [[_text(value) for value in row.values()] for row in rows]
    return header, texts


def _text(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(str, cast("list[str]", value)))
    return "" if value is None else str(value)


def _rows(comparison: Comparison) -> list[dict[str, Any]]:
    return [_row(row) for row in comparison.rows]


def _row(row: Row) -> dict[str, Any]:
    difference = row.difference
    plain: dict[str, Any] = {
        "cell": row.values,
        "n": len(row.scores),
        "num_holes": len(row.holes),
        "mean": row.mean.value,
        "low": row.mean.low,
        "high": row.mean.high,
        "interquartile_mean": row.interquartile_mean.value,
        "interquartile_mean_low": row.interquartile_mean.low,
        "interquartile_mean_high": row.interquartile_mean.high,
        "test_mean": row.test.value,
        "test_low": row.test.low,
        "test_high": row.test.high,
        "gap": row.gap.value,
        "seconds": row.seconds,
        "difference": difference and difference.value,
        "difference_low": difference and difference.low,
        "difference_high": difference and difference.high,
        "num_pairs": difference and difference.num_pairs,
        "p_unadjusted": difference and difference.p,
        "p": row.p,
        "probability_of_improvement": row.probability_of_improvement,
        "verdict": row.verdict.value,
        "seeds_needed": row.seeds_needed,
        "run_ids": [run.run_id for run in row.runs],
    }
    return {key: _known(value) for key, value in plain.items()}


def _known(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
