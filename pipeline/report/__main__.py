"""`python -m pipeline.report [SWEEP|EXPERIMENT …]`: figures and tables, as a page and as Markdown.

The page is one file that needs no other and no network. Of a sweep the files are artifacts, too.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from pipeline.comparison.answer import answer
from pipeline.comparison.comparison import Answer, Chosen
from pipeline.comparison.question import Question
from pipeline.comparison.subject import Subject, find_subject
from pipeline.config.arguments import make_parser, parse
from pipeline.errors import UserError
from pipeline.report.charts.classes import classes_chart, confusion_chart
from pipeline.report.charts.comparison import comparison_chart, told_runs
from pipeline.report.charts.effects import effects_chart, sensitivity_chart
from pipeline.report.charts.gaps import gap_chart
from pipeline.report.charts.spec import Spec
from pipeline.report.confusion import Confusion, fetch_confusion
from pipeline.report.page import Figure, write_report
from pipeline.report.reading import reading_figure
from pipeline.tracking.lookup import LAST, open_tracked
from pipeline.tracking.record import RunResult
from pipeline.tracking.store import Store

__all__ = ["main"]

MAX_CONFUSIONS = 20
"""Runs whose tables of confusions are added, at most."""


def main() -> None:
    """Write the report and say where it is."""
    parser = make_parser("report", __doc__)
    parser.add_argument("wanted", nargs="*", metavar="SWEEP|EXPERIMENT", help="default: last")
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="default: reports/ID")
    arguments, place = parse(parser)
    wanted = arguments.wanted or [place.named or LAST]
    try:
        store = open_tracked(place)
        subject = find_subject(store, wanted)
        print(f"{len(subject.runs):,} runs: comparing, drawing", flush=True)
        found = answer(subject)
        named = re.sub(r"\W+", "_", " ".join(wanted))
        name = subject.sweep_id[:8] if subject.sweep_id else named
        folder: Path = arguments.output or place.root / "reports" / name
        folder.mkdir(parents=True, exist_ok=True)
        figures = _figures(store, subject, found)
        if found.chosen:
            notes = _note_or_add(figures, store, found.chosen.best_run)
            found = replace(found, notes=[*found.notes, *notes])
        files = write_report(folder, found, figures)
        if subject.sweep_id:
            store.add_artifacts(subject.sweep_id, files)
    except UserError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        sys.exit(f"error: {error.filename}: can't be written ({error.strerror}).")
    print(f"The report: {files[0]}, {files[1].name} (as Markdown)")


def _figures(store: Store, subject: Subject, found: Answer) -> list[Figure]:
    """Return the figures that there is something to draw of."""
    told = store.with_curves(told_runs(found))
    specs: dict[str, tuple[str, Spec | None]] = {
        "comparison": ("Cells, and how they learn", comparison_chart(found, told)),
        "effects": ("What each value gives", effects_chart(_answers(subject, found))),
        "sensitivity": ("What matters most", sensitivity_chart(found)),
        "gap": ("Training and validation", gap_chart(found)),
    }
    if found.chosen:
        specs |= _class_figures(store, found.chosen)
    return [Figure(name, title, spec) for name, (title, spec) in specs.items() if spec is not None]


def _answers(subject: Subject, found: Answer) -> list[Answer]:
    """Return the answer, and that by the loss where losses can be compared."""
    try:
        return [found, answer(subject, Question(metric=f"{found.metric.partition('/')[0]}/loss"))]
    except UserError:
        return [found]


def _class_figures(store: Store, chosen: Chosen) -> dict[str, tuple[str, Spec | None]]:
    """Return the figures of the chosen cell, class by class; none if its runs lack their tables."""
    try:
        confusion = _added_up(store, chosen.row.runs)
    except UserError as error:
        print(f"The figures by class are left out: {error}", file=sys.stderr)
        return {}
    if confusion is None:
        return {}
    counts, classes = confusion.counts, confusion.classes
    return {
        "confusion": ("What the chosen cell confuses", confusion_chart(counts, classes)),
        "classes": ("The chosen cell, class by class", classes_chart(counts, classes)),
    }


def _added_up(store: Store, runs: Sequence[RunResult]) -> Confusion | None:
    """Return the confusions of runs, added up; None if one has none, or other classes."""
    found = [fetch_confusion(store, run.run_id) for run in runs[:MAX_CONFUSIONS]]
    first = found[0]
    if first is None:
        return None
    counts = [it.counts for it in found if it is not None and it.classes == first.classes]
    return Confusion(np.sum(counts, axis=0), first.classes) if len(counts) == len(found) else None


def _note_or_add(figures: list[Figure], store: Store, run: RunResult) -> list[str]:
    """Add the figure of what a run's network reads; return a note if something is in its way."""
    try:
        figure = reading_figure(store, run)
    except UserError as error:
        return [f"There is no figure of what the chosen run reads: {error}"]
    if figure is not None:
        figures.append(figure)
    return []


if __name__ == "__main__":
    main()
