"""The table of runs, a row for each."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from pipeline.comparison.cells import short_names, varied_keys
from pipeline.comparison.search import rounded
from pipeline.report.table import Table
from pipeline.tracking.record import CURVES, RunResult

__all__ = ["runs_table", "write_csv"]

MAX_ROWS = 60
"""Rows on the terminal, at most; results.csv of the sweep has them all."""

MIN_ID = 8
"""Characters of an id, at least."""


def runs_table(results: Sequence[RunResult], *, title: str, is_search: bool = False) -> Table:
    """Return the table for the terminal; the highest validation accuracy stands out.

    It shows the params that varied and, of more than MAX_ROWS runs, those that aren't finished and
    the best ones. Of a search it doesn't show what the trials reach on the test examples.
    """
    names = short_names([*varied_keys(run.params for run in results), *_seed(results)])
    note = ""
    length = _id_length(results)
    if len(results) > MAX_ROWS:
        note = f"{MAX_ROWS} of {len(results)} runs; results.csv of the sweep has them all"
        results = sorted(results, key=_rank)[:MAX_ROWS]
    status = [] if all(result.status == "FINISHED" for result in results) else ["status"]
    metrics = {"val/accuracy": ".4f"}
    if not is_search:
        metrics["test/accuracy"] = ".4f"
        if not any(key.startswith("loss.") for key in names):
            metrics["test/loss"] = ".4g"
    rows = [
        [
            *[rounded(result.params.get(key, "")) for key in names],
            *[result.status for _ in status],
            *[_text(result.metrics.get(key), form) for key, form in metrics.items()],
            _text(result.metrics.get("time/fit_s"), ".2f"),
            result.run_id[:length],
        ]
        for result in results
    ]
    best = max(map(_accuracy, results), default=-1.0)
    winners = [i for i, result in enumerate(results) if _accuracy(result) == best >= 0]
    measured = [key.replace("/", " ") for key in metrics]
    return Table(
        [*names.values(), *status, *measured, "seconds", "run id"],
        rows,
        align=" " * len([*names, *status]) + "r" * len(measured) + "r",
        title=title,
        note=note,
        highlights=dict.fromkeys(winners, "bold green") if len(results) > 1 else {},
        unbroken=["run id"],
    )


def write_csv(path: Path, results: Sequence[RunResult]) -> None:
    """Write the table of all runs as CSV, with every metric in full precision."""
    keys = [*varied_keys(run.params for run in results), *_seed(results)]
    metrics = [*CURVES, "best/epoch", "best/test_accuracy", "time/fit_s"]
    header = ["run_id", "name", "status", *keys, *metrics, "error"]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for result in results:
            known = {**result.params, **result.metrics, **vars(result)}
            writer.writerow([_text(known.get(name)) for name in header])


def _seed(results: Sequence[RunResult]) -> list[str]:
    return ["seed"] if len({result.params.get("seed") for result in results}) > 1 else []


def _id_length(results: Sequence[RunResult]) -> int:
    """Return how many characters of their ids tell runs apart."""
    ids = {result.run_id for result in results}
    lengths = range(MIN_ID, max(map(len, ids), default=MIN_ID))
    return next((n for n in lengths if len({run_id[:n] for run_id in ids}) == len(ids)), 32)


def _rank(result: RunResult) -> tuple[bool, float]:
    """Return what puts failed and interrupted runs first, then the highest accuracies."""
    return result.status == "FINISHED", -_accuracy(result)


def _accuracy(result: RunResult) -> float:
    """Return the validation accuracy of a finished run, -1 for the others."""
    finished = result.status == "FINISHED"
    return result.metrics.get("val/accuracy", -1.0) if finished else -1.0


def _text(value: object, form: str = "") -> str:
    return "" if value is None else format(value, form)
