"""`python -m pipeline.compare [SWEEP|EXPERIMENT …]`: which choice is better, and by how much?

Compares the cells of a sweep (its id or how that begins, its name, or `last`, the default), of an
experiment, or of several together: means over seeds with intervals, differences to a baseline with
their p, a verdict for each. docs/comparing.md explains every number.
"""

from __future__ import annotations

import argparse
import csv
import sys

from rich.console import Console

from pipeline.comparison.answer import answer
from pipeline.comparison.cells import find_cells
from pipeline.comparison.plain import as_json, as_rows
from pipeline.comparison.question import Metric, Question
from pipeline.comparison.requirement import Outcome, check
from pipeline.comparison.subject import Subject, find_subject
from pipeline.config.arguments import make_parser, parse
from pipeline.errors import UserError
from pipeline.report.answer import as_markdown, print_answer
from pipeline.report.runs_table import runs_table
from pipeline.tracking.lookup import LAST, open_tracked
from pipeline.tracking.spool import left_in_spool

__all__ = ["main"]


def main() -> None:
    """Print the comparison; exit 1 if a requirement isn't met or something can't be answered."""
    arguments, place = parse(_parser())
    if arguments.runs and arguments.require:
        sys.exit("error: --runs lists runs and --require compares them. Say one of the two.")
    try:
        store = open_tracked(place)
        unmet = _show(find_subject(store, arguments.wanted or [place.named or LAST]), arguments)
        left = left_in_spool(store)
    except UserError as error:
        sys.exit(f"error: {error}")
    if left:
        print(left, file=sys.stderr)
    if unmet:
        sys.exit("\n".join(f"error: {outcome.statement}" for outcome in unmet))


def _parser() -> argparse.ArgumentParser:
    parser = make_parser("compare", __doc__)
    add = parser.add_argument
    add("wanted", nargs="*", metavar="SWEEP|EXPERIMENT", help="default: last, the newest sweep")
    add("--by", metavar="KEYS", help="these keys only, averaged over the others, such as loss,lr")
    add("--baseline", metavar="VALUES", help='"loss=mse", say; default: the defaults, or the first')
    add("--metric", help="default: val/accuracy, by which choices are made")
    add("--margin", type=float, help="differences below don't matter; of accuracies: 0.002")
    add(
        "--require", action="append", default=[], metavar='"A > B"', help="exit 1 if A isn't better"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--runs", action="store_true", help="the runs one by one instead")
    form.add_argument("--json", action="store_true", help="all numbers, for machines")
    form.add_argument("--csv", action="store_true", help="the table of the cells, for machines")
    form.add_argument("--markdown", action="store_true", help="as Markdown")
    return parser


def _show(subject: Subject, arguments: argparse.Namespace) -> list[Outcome]:
    """Print what is asked for; return the requirements that aren't met."""
    console = Console(width=None if sys.stdout.isatty() else 100, markup=False, highlight=False)
    if arguments.runs:
        console.print(runs_table(subject.runs, title=subject.title))
        return []
    by = arguments.by and [key.strip() for key in arguments.by.split(",")]
    found = answer(subject, Question(arguments.metric, by, arguments.baseline, arguments.margin))
    outcomes: list[Outcome] = []
    if arguments.require:
        cells = find_cells(subject.runs, subject.grid)
        outcomes = check(arguments.require, cells, Metric(found.metric))
    if arguments.json:
        print(as_json(found))
    elif arguments.csv:
        header, rows = as_rows(found)
        csv.writer(sys.stdout).writerows([header, *rows])
    elif arguments.markdown:
        print(as_markdown(found))
    else:
        print_answer(console, found)
    for outcome in outcomes:
        if outcome.is_met:
            print(outcome.statement, file=sys.stderr)
    return [outcome for outcome in outcomes if not outcome.is_met]


if __name__ == "__main__":
    main()
