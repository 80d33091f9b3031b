"""Artifacts that moved with the root, while MLflow's database has their old, absolute places."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pipeline.tools.doctor.site import Finding, Site, count
from pipeline.tracking import paths

__all__ = ["moved_artifacts"]

NUM_NAMED = 3
"""So many lost runs are named in one line."""

TIMEOUT_S = 20
"""As long as MLflow itself waits for a database that another process writes."""

READ = """
    SELECT experiment_id, experiments.name, artifact_location, run_uuid, artifact_uri,
        status = 'FINISHED'
    FROM experiments JOIN runs USING (experiment_id) ORDER BY experiment_id
"""
WRITE_EXPERIMENT = "UPDATE experiments SET artifact_location = ? WHERE experiment_id = ?"
WRITE_RUN = "UPDATE runs SET artifact_uri = ? WHERE run_uuid = ?"


@dataclass(frozen=True)
class _Place:
    """Where the artifacts of a run, or an experiment, are said to lie, and where they belong."""

    key: str | int
    said: Path
    home: Path
    has_some: bool = True
    """Whether there must be artifacts; a run that was interrupted may have none."""

    @property
    def is_right(self) -> bool:
        """Say whether both are the same, through a link perhaps."""
        if self.said == self.home:
            return True
        return self.said.exists() and self.home.exists() and self.said.samefile(self.home)

    @property
    def is_nowhere(self) -> bool:
        """Say whether there is nothing in either place, and they aren't the same."""
        return self.said != self.home and not self.said.exists() and not self.home.exists()


def moved_artifacts(site: Site) -> Iterator[Finding]:
    """Find the artifacts that the database looks for elsewhere, while they lie below the root."""
    if not site.has_own_store or not site.has_store:
        return
    database, home = paths.database(site.root), paths.mlruns(site.root)
    experiments: list[_Place] = []
    runs: list[_Place] = []
    for name, place, its_runs in _read(database, home):
        lost = [run for run in its_runs if run.has_some and run.is_nowhere]
        if lost:
            yield Finding(_describe_lost(name, place, lost, home))
        is_here = place.is_right or any(run.home.exists() for run in its_runs)
        moved_along = is_here or not (lost or place.said.exists())
        if moved_along and not place.is_right:
            experiments.append(place)
        for run in its_runs:
            without_any = moved_along and run.is_nowhere and not run.has_some
            if not run.is_right and (run.home.exists() or without_any):
                runs.append(run)
    if experiments or runs:
        old = ", ".join(sorted({str(it.said.parent) for it in experiments})) or "other places"
        what = (
            f"mlflow.db looks for the artifacts of {count(len(runs), 'run')} and "
            f"{count(len(experiments), 'experiment')} in {old}, but they lie in {home}"
        )
        remedy = "corrected, after a copy to mlflow.db.before-fix"
        yield Finding(what, remedy, partial(_rewrite, database, experiments, runs))


def _read(database: Path, home: Path) -> Iterator[tuple[str, _Place, list[_Place]]]:
    """Find the experiments, by name, that have runs and keep their artifacts in a local folder."""
    with closing(sqlite3.connect(database, timeout=TIMEOUT_S)) as connection:
        rows = connection.execute(READ).fetchall()
    for (number, name, location), its_rows in groupby(rows, key=lambda row: row[:3]):
        said = _local_path(location)
        if said is None:
            continue
        place = _Place(number, said, home / said.name)
        runs = [
            _Place(run_id, run_said, place.home / run_id / "artifacts", has_some=bool(finished))
            for *_, run_id, uri, finished in its_rows
            if (run_said := _local_path(uri)) is not None
        ]
        yield name, place, runs


def _local_path(uri: str) -> Path | None:
    """Return the path of a local place, None for a server's or a bucket's."""
    if uri.startswith("file:"):
        return Path(unquote(urlsplit(uri).path))
    return Path(uri) if uri.startswith("/") else None


def _describe_lost(name: str, place: _Place, lost: Sequence[_Place], home: Path) -> str:
    named = ", ".join(str(run.key) for run in lost[:NUM_NAMED])
    more = ", …" if len(lost) > NUM_NAMED else ""
    return (
        f"experiment {name}: the artifacts of {count(len(lost), 'run')} "
        f"({named}{more}) lie neither in {place.said} nor in {home}"
    )


def _rewrite(database: Path, experiments: Sequence[_Place], runs: Sequence[_Place]) -> None:
    """Correct the places of experiments and runs, all or none, after a copy of the database."""
    copy = database.with_name(f"{database.name}.before-fix")
    copy.unlink(missing_ok=True)
    with closing(sqlite3.connect(database, timeout=TIMEOUT_S)) as connection, connection:
        connection.execute("BEGIN IMMEDIATE")
        with closing(sqlite3.connect(database)) as reader, closing(sqlite3.connect(copy)) as saved:
            reader.backup(saved)  # the connection that writes would wait for itself
        connection.executemany(WRITE_EXPERIMENT, [(str(it.home), it.key) for it in experiments])
        connection.executemany(WRITE_RUN, [(str(it.home), it.key) for it in runs])
