"""`python -m pipeline.figures [SWEEP|RUN …]`: draw the figures that runs of large sweeps lack."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from jaxtyping import Int
from rich.progress import track

from pipeline.config.arguments import make_parser, parse
from pipeline.errors import UserError
from pipeline.files import CHECKSUMS, damaged_files
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
    names = store.artifact_names(run.run_id)
    if "confusion.png" in names or "confusion.csv" not in names:
        return False
    with tempfile.TemporaryDirectory() as temporary:
        fetched, drawn = Path(temporary, "fetched"), Path(temporary, "drawn")
        fetched.mkdir()
        drawn.mkdir()
        counts = _fetch_confusions(store, run.run_id, fetched)
        draw_curves(drawn / "curves.png", run.curves, title=run.name)
        draw_confusion(drawn / "confusion.png", counts, title=run.name)
        store.add_artifacts(run.run_id, list(drawn.iterdir()))
    return True


def _fetch_confusions(
    store: Store, run_id: str, folder: Path
) -> Int[np.ndarray, "classes classes"]:
    """Copy a run's files into a folder and return its table of confusions, once that is checked."""
    store.fetch_artifacts(run_id, folder)
    if not (folder / CHECKSUMS).exists() or "confusion.csv" in damaged_files(folder):
        raise UserError(f"{run_id}: its confusion.csv is damaged (its checksum is another).")
    return np.loadtxt(folder / "confusion.csv", delimiter=",", dtype=np.int64)


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
