"""What a sweep has left in its store, cell by cell."""

from __future__ import annotations

import csv
from pathlib import Path

from mlflow.entities import Run, ViewType

from tests import command

Histories = dict[str, dict[str, dict[int, float]]]
"""By a cell's config_hash and by metric: the values by step."""


def cells(root: Path) -> dict[str, Run]:
    """The sweep's runs by their config_hash; fails if a cell is there twice."""
    runs = command.children(root)
    found = {run.data.tags["config_hash"]: run for run in runs}
    assert len(found) == len(runs), [run.info.run_name for run in runs]
    return found


def histories(root: Path) -> Histories:
    """All that was measured in the sweep's runs, times aside; fails if a step is there twice."""
    return {
        key: {
            metric: command.history(root, run, metric)
            for metric in run.data.metrics
            if not metric.startswith("time/")
        }
        for key, run in cells(root).items()
    }


def states(root: Path) -> dict[str, str]:
    """The status of every run that is not deleted, by its id."""
    return {run.info.run_id: run.info.status for run in command.runs(root)}


def killed(number: int) -> str:
    """What a plan says of runs whose process could say nothing of their end."""
    return (
        f"{number} were still going on when their process was killed, as when memory runs out "
        "(exit code 137)."
    )


def plan(root: Path, *overrides: str) -> list[str]:
    """What a dry run says; it must leave the store as it is."""
    before = states(root)
    done = command.train(root, *overrides, "dry_run=true")
    assert (done.code, done.stderr) == (0, "")
    assert states(root) == before
    return done.stdout.splitlines()


def deleted(root: Path) -> list[Run]:
    """The runs that were deleted, but could be restored."""
    client = command.client(root)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    return client.search_runs(experiments, run_view_type=ViewType.DELETED_ONLY)


def spooled(root: Path) -> list[Path]:
    """The files of records that the store doesn't have yet."""
    return list((root / "mlruns" / "spool").glob("*.json"))


def rows(parent: Run) -> list[dict[str, str]]:
    """The rows of the table that a sweep's parent keeps."""
    path = command.artifacts(parent) / "results.csv"
    assert path.is_file(), f"{parent.info.run_name}: the sweep has no table"
    with path.open() as file:
        return list(csv.DictReader(file))


def table(root: Path) -> list[dict[str, str]]:
    """The rows of the only sweep's table."""
    return rows(command.parent(root))


def check_whole(root: Path, num_cells: int) -> None:
    """Check that a sweep looks as if nothing had ever happened to it."""
    parent, runs = command.parent(root), cells(root)
    assert parent.info.status == "FINISHED"
    assert [run.info.status for run in runs.values()] == ["FINISHED"] * num_cells
    assert {run.data.tags["mlflow.parentRunId"] for run in runs.values()} == {parent.info.run_id}
    for run in runs.values():
        steps = list(command.history(root, run, "test/accuracy"))
        assert steps == list(range(1, int(run.data.params["trainer.max_epochs"]) + 1))
        assert {path.name for path in command.artifacts(run).iterdir()} == command.RUN_FILES
    assert spooled(root) == []
    assert {row["run_id"] for row in table(root)} == {run.info.run_id for run in runs.values()}
    assert (command.artifacts(parent) / "comparison.png").is_file()
