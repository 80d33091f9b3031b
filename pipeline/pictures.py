"""`python -m pipeline.pictures ID …`: draw the pictures that runs of large sweeps lack.

An ID is a run's, or a sweep's for all of its runs.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from rich.progress import track

from pipeline.choices import project_root
from pipeline.config import TrackingConfig
from pipeline.errors import UserError
from pipeline.record import RunResult
from pipeline.report.figures import draw_confusion, draw_curves
from pipeline.tracking import Store, open_store

__all__ = ["draw_pictures", "main"]


def draw_pictures(store: Store, run: RunResult) -> bool:
    """Draw curves.png and confusion.png of a run, from what the store has of it.

    Returns:
        Whether there was anything to draw: False if the run has its pictures, or no results.
    """
    names = store.artifact_names(run.run_id)
    if "confusion.png" in names or "confusion.csv" not in names:
        return False
    with tempfile.TemporaryDirectory() as temporary:
        fetched, drawn = Path(temporary, "fetched"), Path(temporary, "drawn")
        fetched.mkdir()
        drawn.mkdir()
        table = store.fetch_artifact(run.run_id, "confusion.csv", fetched)
        try:
            counts = np.loadtxt(table, delimiter=",", dtype=np.int64)
        except ValueError as error:
            raise UserError(f"{run.run_id}: its confusion.csv is damaged ({error}).") from error
        draw_curves(
            drawn / "curves.png",
            run.curves["train/loss"],
            run.curves["test/accuracy"],
            title=run.name,
        )
        draw_confusion(drawn / "confusion.png", counts, title=run.name)
        store.add_artifacts(run.run_id, drawn)
    return True


def main() -> None:
    """Draw what is missing and say how much that was."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.pictures", description=__doc__)
    parser.add_argument("ids", nargs="+", metavar="ID", help="a run or a sweep")
    parser.add_argument("--root", type=Path, default=project_root(), help="where mlflow.db lies")
    parser.add_argument("--uri", help="another store than the root's mlflow.db")
    arguments = parser.parse_args()
    root: Path = arguments.root.expanduser().absolute()
    store = open_store(TrackingConfig(uri=arguments.uri), root)
    runs: list[RunResult] = []
    try:
        for run_id in arguments.ids:
            run = store.result(run_id)
            runs += store.with_curves(store.children(run_id)) or [run]
    except UserError as error:
        sys.exit(f"error: {error}")
    try:
        drawn = sum(draw_pictures(store, run) for run in track(runs, "drawing"))
    except UserError as error:
        sys.exit(f"error: {error}")
    print(f"{drawn} of {len(runs)} runs got their pictures; the others have them, or no results")


if __name__ == "__main__":
    main()
