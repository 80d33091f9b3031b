"""An answer on the terminal and as Markdown: sentences, tables, what to run next."""

from __future__ import annotations

import math
from collections.abc import Iterator

from rich.console import Console, RenderableType
from rich.text import Text

from pipeline.comparison.comparison import Answer, Comparison, Row, Verdict
from pipeline.comparison.units import Units, metric_name, p_text
from pipeline.comparison.words import method, sentences
from pipeline.report.table import Table

__all__ = ["as_markdown", "comparison_table", "print_answer", "shown_rows"]

MAX_ROWS = 40
"""Rows on the terminal, at most."""

STYLES = {Verdict.BETTER: "green", Verdict.WORSE: "red", Verdict.BASELINE: "bold"}


def print_answer(console: Console, answer: Answer) -> None:
    """Print the tables, the answer in sentences, and what one can run next."""
    for part in _parts(answer):
        console.print(part)
    for what, command in answer.commands.items():
        console.print(f"For {what}:")
        console.print(f"  {command}", soft_wrap=True)


def _parts(answer: Answer) -> Iterator[RenderableType]:
    for effect in answer.effects:
        yield comparison_table(effect, answer, title=f"{effect.names[effect.keys[0]]}, averaged")
    yield comparison_table(answer.cells, answer, title=answer.title)
    for sentence in sentences(answer):
        yield Text(sentence, style="bold")
    yield ""
    for note in answer.notes:
        yield Text(f"Note: {note}")
    if len(answer.cells.rows) > 1:
        yield Text(method(answer), style="dim")


def as_markdown(answer: Answer) -> str:
    """Return the answer as Markdown: sentences, tables, notes, commands."""
    lines = [f"- {sentence}" for sentence in sentences(answer)]
    parts = ["\n".join(lines)]
    parts += [comparison_table(effect, answer).markdown() for effect in answer.effects]
    parts.append(comparison_table(answer.cells, answer).markdown())
    parts += [f"Note: {note}" for note in answer.notes]
    if len(answer.cells.rows) > 1:
        parts.append(method(answer))
    for what, command in answer.commands.items():
        parts.append(f"For {what}:\n\n```\n{command}\n```")
    return "\n\n".join(parts) + "\n"


def comparison_table(
    comparison: Comparison, answer: Answer, *, title: str = "", max_rows: int = MAX_ROWS
) -> Table:
    """Return the table of a comparison, a row for each cell or value.

    Of more than `max_rows` it shows the best ones, the baseline, and those with runs missing.
    """
    units = Units(answer.metric)
    rows = shown_rows(comparison, answer, max_rows)
    count = len(comparison.rows)
    note = (
        f"{len(rows)} of {count:,} rows; all: pipeline compare --csv" if len(rows) < count else ""
    )
    chosen = answer.chosen.row.values if answer.chosen and len(rows) > 1 else None
    marks = ["*" if row.values == chosen else "" for row in rows]
    header = [
        *comparison.names.values(),
        "n",
        f"{metric_name(answer.metric)}{units.unit}",
        "difference",
        "p",
        "",
        "gap",
        "s",
    ]
    texts = [
        [
            *row.values.values(),
            _seeds(row),
            units.plus_minus(row.mean) + mark,
            _difference(row, units),
            _p(row),
            row.verdict.value if len(rows) > 1 else "",
            units.difference(row.gap.value),
            "" if math.isnan(row.seconds) else f"{row.seconds:.2g}",
        ]
        for row, mark in zip(rows, marks, strict=True)
    ]
    if "*" in marks:
        note = "; ".join(filter(None, [note, "* chosen by validation"]))
    return Table(
        header,
        texts,
        align=" " * len(comparison.names) + "rrrr rr",
        title=title,
        note=note,
        highlights={i: STYLES[row.verdict] for i, row in enumerate(rows) if row.verdict in STYLES},
    )


def shown_rows(comparison: Comparison, answer: Answer, max_rows: int) -> list[Row]:
    """Return the rows of a table: all, or the baseline, those with runs missing, the best ones."""
    if len(comparison.rows) <= max_rows:
        return comparison.rows
    sign = -1 if answer.higher_is_better else 1
    ranked = sorted(comparison.rows, key=lambda row: sign * _or_worst(row.mean.value, sign))
    holes = [row for row in comparison.rows if row.holes and row is not comparison.baseline]
    first = [comparison.baseline, *holes][: max_rows // 2]
    best = [row for row in ranked if not row.holes and row is not comparison.baseline]
    return [*first, *best][:max_rows]


def _or_worst(value: float, sign: int) -> float:
    return sign * math.inf if math.isnan(value) else value


def _seeds(row: Row) -> str:
    return (
        f"{len(row.scores)}/{len(row.scores) + len(row.holes)}"
        if row.holes
        else f"{len(row.scores)}"
    )


def _p(row: Row) -> str:
    if row.p is None or math.isnan(row.p):
        return ""
    return p_text(row.p).removeprefix("p = ").removeprefix("p ")


def _difference(row: Row, units: Units) -> str:
    difference = row.difference
    if difference is None:
        return ""
    return units.with_half(difference)
