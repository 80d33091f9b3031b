"""Tables, for the terminal, as Markdown and as CSV; and the table of a sweep's runs."""

from __future__ import annotations

import csv
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import rich.table
from rich.text import Text

from pipeline.tracking.record import RunResult

__all__ = ["Table", "label", "make_table", "varied_params", "write_csv"]

MAX_ROWS = 60
"""Rows of the table on the terminal, at most; results.csv has them all."""

METRICS = [f"{split}/{name}" for split in ("train", "val", "test") for name in ("loss", "accuracy")]


@dataclass(frozen=True)
class Table:
    """Rows of text under a header; a rich console prints it as it is.

    Attributes:
        header: One text per column.
        rows: As many texts each.
        align: A letter per column, "r" for right; columns without one are set to the left.
        title: Above the table on the terminal.
        note: Below the table, such as what it leaves out.
        highlights: The rows that stand out, by index, with their rich styles, such as "bold green".
        unbroken: The columns whose texts never go on in a second line, such as ids.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    align: str = ""
    title: str = ""
    note: str = ""
    highlights: Mapping[int, str] = field(default_factory=dict[int, str])
    unbroken: Collection[str] = ()

    def __rich__(self) -> rich.table.Table:
        """Return the table for the terminal; brackets are text, not markup."""
        table = rich.table.Table(
            title=Text(self.title, style="bold"),
            title_justify="left",
            caption=Text(self.note),
        )
        for heading, align in zip(self.header, self.align.ljust(len(self.header)), strict=True):
            table.add_column(
                Text(heading),
                justify="right" if align == "r" else "left",
                overflow="fold",
                no_wrap=heading in self.unbroken,
            )
        for index, row in enumerate(self.rows):
            table.add_row(*map(Text, row), style=self.highlights.get(index))
        return table

    def markdown(self) -> str:
        """Return the table as Markdown, without its title, and the note below it."""
        align = ["---:" if a == "r" else "---" for a in self.align.ljust(len(self.header))]
        rows = [[text.replace("|", "\\|") for text in row] for row in self.rows]
        lines = [f"| {' | '.join(line)} |" for line in (self.header, align, *rows)]
        return "\n".join([*lines, "", self.note] if self.note else lines)

    def write_csv(self, path: Path) -> None:
        """Write the header and the rows as CSV."""
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([self.header, *self.rows])


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

    It has a row for each run, with the params of the keys, usually `varied_params`. Of a sweep with
    more than MAX_ROWS runs it shows those that failed and the best ones.
    """
    note = ""
    if len(results) > MAX_ROWS:
        note = f"{MAX_ROWS} of {len(results)} runs; results.csv of the sweep has them all"
        results = sorted(results, key=_rank)[:MAX_ROWS]
    status = [] if all(result.status == "FINISHED" for result in results) else ["status"]
    rows = [
        [
            *[result.params.get(key, "") for key in keys],
            *[result.status for _ in status],
            _text(result.metrics.get("test/accuracy"), ".4f"),
            _text(result.metrics.get("test/loss"), ".4g"),
            _text(result.seconds, ".1f"),
            result.run_id,
        ]
        for result in results
    ]
    best = max(map(_accuracy, results), default=-1.0)
    winners = [i for i, result in enumerate(results) if _accuracy(result) == best >= 0]
    return Table(
        [*keys, *status, "test accuracy", "test loss", "seconds", "run id"],
        rows,
        align=" " * len([*keys, *status]) + "rrr",
        title=title,
        note=note,
        highlights=dict.fromkeys(winners, "bold green") if len(results) > 1 else {},
        unbroken=["run id"],
    )


def write_csv(path: Path, results: Sequence[RunResult], keys: Sequence[str]) -> None:
    """Write the table of all runs as CSV, with every metric in full precision."""
    metrics = [*METRICS, "best/epoch", "best/test_accuracy"]
    header = ["run_id", "name", "status", *keys, *metrics, "seconds", "error"]
    runs = [{**result.params, **result.metrics, **vars(result)} for result in results]
    Table(header, [[_text(run.get(name)) for name in header] for run in runs]).write_csv(path)


def _rank(result: RunResult) -> tuple[bool, float]:
    """Return what puts failed and interrupted runs first, then the highest accuracies."""
    return result.status == "FINISHED", -_accuracy(result)


def _accuracy(result: RunResult) -> float:
    """Return the test accuracy of a finished run, -1 for the others."""
    finished = result.status == "FINISHED"
    return result.metrics.get("test/accuracy", -1.0) if finished else -1.0


def _text(value: object, form: str = "") -> str:
    return "" if value is None else format(value, form)
