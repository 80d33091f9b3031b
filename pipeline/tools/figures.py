"""`python -m pipeline.figures [SWEEP|RUN …]`: draw the figures that runs of large sweeps lack."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from rich.progress import track

from pipeline.config.arguments import make_parser, parse
from pipeline.errors import UserError
from pipeline.report.confusion import fetch_confusion
from pipeline.report.figures import draw_confusion, draw_curves
from pipeline.tracking.lookup import LAST, find_runs, open_tracked
from pipeline.tracking.record import RunResult
from pipeline.tracking.store import Store

__all__ = ["draw_figures", "main"]


def draw_figures(store: Store, run: RunResult) -> bool:
    """Draw curves.png and confusion.png of a run, from what the store has of it.

    Returns:
        Whether there was anything to draw: False if the run has its figures, or no results.

    Raises:
        UserError: its table of confusions is damaged.
    """
    has_figures = "confusion.png" in store.artifact_names(run.run_id)
    confusion = None if has_figures else fetch_confusion(store, run.run_id)
    if confusion is None:
        return False
    with tempfile.TemporaryDirectory() as folder:
        curves, confusions = Path(folder, "curves.png"), Path(folder, "confusion.png")
        draw_curves(curves, run.curves, title=run.name)
        draw_confusion(confusions, confusion.counts, classes=confusion.classes, title=run.name)
        store.add_artifacts(run.run_id, [curves, confusions])
    return True


def main() -> None:
    """Draw what is missing and say how much that was; exit 1 if something was damaged."""
    parser = make_parser("figures", __doc__)
    parser.add_argument("wanted", nargs="*", metavar="SWEEP|RUN", help="default: last")
    arguments, place = parse(parser)
    try:
        store = open_tracked(place)
        runs = store.with_curves(find_runs(store, arguments.wanted or [place.named or LAST]).runs)
    except UserError as error:
        sys.exit(f"error: {error}")
    drawn = 0
    damaged: list[str] = []
    for run in track(runs, "drawing", disable=not sys.stdout.isatty()):
        try:
            drawn += draw_figures(store, run)
        except UserError as error:
            damaged.append(f"error: {error}")
    print(f"{drawn} of {len(runs)} runs got their figures; the others have them, or no results")
    if damaged:
        sys.exit("\n".join(damaged))


if __name__ == "__main__":
    main()
