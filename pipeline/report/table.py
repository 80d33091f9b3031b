"""The table of a sweep: what varied, how well each run did, for the terminal and as CSV."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table
from rich.text import Text

from pipeline.tracking.record import RunResult

__all__ = ["label", "make_table", "varied_params", "write_csv"]

MAX_ROWS = 60
"""Of the table on the terminal; results.csv has them all."""

METRICS = (
    "train/loss",
    "train/accuracy",
    "val/loss",
    "val/accuracy",
    "test/loss",
    "test/accuracy",
    "best/epoch",
    "best/test_accuracy",
)


def varied_params(results: Sequence[RunResult]) -> list[str]:
    """Return the params whose values differ between the runs, in the config's order.

    A param that some runs don't have, such as p_keep without dropout, counts as different.
    """
    keys = dict.fromkeys(key for result in results for key in result.params)
    return [key for key in keys if len({result.params.get(key) for result in results}) > 1]


def label(result: RunResult, keys: Sequence[str]) -> str:
    """Return what sets a run apart from the others, such as "loss.name=ce seed=1"."""
    parts = [f"{key}={result.params[key]}" for key in keys if key in result.params]
    return " ".join(parts) or result.name


def make_table(results: Sequence[RunResult], *, title: str, keys: Sequence[str]) -> Table:
    """Return the table for the terminal; the highest test accuracy stands out.

    Of a sweep with more than MAX_ROWS runs it shows those that failed and the best ones.

    Args:
        results: the runs, one per row.
        title: above the table.
        keys: params to show, usually `varied_params`.
    """
    table = Table(title=Text(title, style="bold"), title_justify="left")
    if len(results) > MAX_ROWS:
        table.caption = f"{MAX_ROWS} of {len(results)} runs; results.csv of the sweep has them all"
        results = sorted(results, key=_rank)[:MAX_ROWS]
    for key in keys:
        table.add_column(Text(key), overflow="fold")
    all_finished = all(result.status == "FINISHED" for result in results)
    if not all_finished:
        table.add_column("status")
    for heading in ("test accuracy", "test loss", "seconds"):
        table.add_column(heading, justify="right")
    table.add_column("run id", no_wrap=True)
    best = max((_accuracy(result) for result in results), default=-1.0)
    for result in results:
        status = [] if all_finished else [result.status]
        table.add_row(
            *[Text(result.params.get(key, "")) for key in keys],
            *status,
            _number(result.metrics.get("test/accuracy"), "{:.4f}"),
            _number(result.metrics.get("test/loss"), "{:.4g}"),
            _number(result.seconds, "{:.1f}"),
            result.run_id,
            style="bold green" if len(results) > 1 and _accuracy(result) == best >= 0 else "",
        )
    return table


def write_csv(path: Path, results: Sequence[RunResult], keys: Sequence[str]) -> None:
    """Write the table as CSV, full precision, one row per run, with a header."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["run_id", "name", "status", *keys, *METRICS, "seconds", "error"])
        for result in results:
            writer.writerow(
                [
                    result.run_id,
                    result.name,
                    result.status,
                    *[result.params.get(key, "") for key in keys],
                    *[result.metrics.get(metric, "") for metric in METRICS],
                    result.seconds,
                    result.error or "",
                ]
            )


def _rank(result: RunResult) -> tuple[bool, float]:
    """Return what puts failed and interrupted runs first, then the highest accuracies."""
    return result.status == "FINISHED", -_accuracy(result)


def _accuracy(result: RunResult) -> float:
    """Return the test accuracy of a finished run, -1 for the others."""
    finished = result.status == "FINISHED"
    return result.metrics.get("test/accuracy", -1.0) if finished else -1.0


def _number(value: float | None, form: str) -> str:
    return "" if value is None else form.format(value)
