"""Artifacts that moved with the root, while MLflow's database has their old, absolute places."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pipeline.tools.doctor.site import Finding, Site, count
from pipeline.tracking import paths

__all__ = ["moved_artifacts"]

NUM_NAMED = 3
"""Of lost runs, in one line."""

TIMEOUT_S = 20
"""As long as MLflow itself waits for a database that another process writes."""

Row = tuple[int, str, str, str]

READ_EXPERIMENTS = "SELECT experiment_id, name, '', artifact_location FROM experiments"
READ_RUNS = "SELECT experiment_id, run_uuid, status, artifact_uri FROM runs"
WRITE_EXPERIMENT = "UPDATE experiments SET artifact_location = ? WHERE experiment_id = ?"
WRITE_RUN = "UPDATE runs SET artifact_uri = ? WHERE run_uuid = ?"


@dataclass(frozen=True)
class _Place:
    """Where the artifacts of a run, or an experiment, are said to lie, and where they belong."""

    key: str | int
    said: Path
    home: Path
    has_some: bool
    """Whether there must be artifacts; a run that was interrupted may have none."""

    @property
    def is_right(self) -> bool:
        """Whether both are the same, through a link perhaps."""
        if self.said == self.home:
            return True
        return self.said.exists() and self.home.exists() and self.said.samefile(self.home)

    @property
    def is_nowhere(self) -> bool:
        """Whether there is nothing in either place, and they aren't the same."""
        return self.said != self.home and not self.said.exists() and not self.home.exists()


@dataclass(frozen=True)
class _Experiment:
    """An experiment with its runs, one at least."""

    name: str
    place: _Place
    runs: list[_Place]

    @property
    def lost(self) -> list[_Place]:
        """The runs whose artifacts are nowhere."""
        return [run for run in self.runs if run.has_some and run.is_nowhere]

    @property
    def belongs_home(self) -> bool:
        """Whether the experiment is at home in this root: it has artifacts here, or nowhere."""
        if self.place.is_right or any(run.home.exists() for run in self.runs):
            return True
        return not self.lost and not self.place.said.exists()

    @property
    def wrong_runs(self) -> list[_Place]:
        """The runs whose artifacts lie at home, or would if they had any."""
        return [
            run
            for run in self.runs
            if not run.is_right
            and (run.home.exists() or (run.is_nowhere and not run.has_some and self.belongs_home))
        ]


def moved_artifacts(site: Site) -> Iterator[Finding]:
    """Find the artifacts that the database looks for elsewhere, while they lie below the root."""
    database = site.store.database
    if database is None or not site.has_own_store or not site.has_store:
        return
    home = paths.mlruns(site.root)
    experiments = _read(database, home)
    for experiment in experiments:
        if experiment.lost:
            yield Finding(_describe_lost(experiment, home))
    moved = [entry for entry in experiments if entry.belongs_home and not entry.place.is_right]
    runs = [run for entry in experiments for run in entry.wrong_runs]
    if moved or runs:
        old = ", ".join(sorted({str(entry.place.said.parent) for entry in moved})) or "other places"
        what = (
            f"mlflow.db looks for the artifacts of {count(len(runs), 'run')} and "
            f"{count(len(moved), 'experiment')} in {old}, but they lie in {home}"
        )
        remedy = "corrected, after a copy to mlflow.db.before-fix"
        places = [entry.place for entry in moved]
        yield Finding(what, remedy, partial(_rewrite, database, places, runs))


def _read(database: Path, home: Path) -> list[_Experiment]:
    """Return the experiments that have runs and keep their artifacts in a local folder."""
    with closing(sqlite3.connect(database, timeout=TIMEOUT_S)) as connection:
        experiments: list[Row] = connection.execute(READ_EXPERIMENTS).fetchall()
        runs: list[Row] = connection.execute(READ_RUNS).fetchall()
    runs_of: dict[int, list[Row]] = defaultdict(list)
    for row in runs:
        runs_of[row[0]].append(row)
    found: list[_Experiment] = []
    for number, name, _, location in experiments:
        said = _local_path(location)
        if said is not None and number in runs_of:
            place = _Place(number, said, home / said.name, has_some=True)
            found.append(_Experiment(name, place, _run_places(runs_of[number], place.home)))
    return found


def _run_places(rows: Sequence[Row], home: Path) -> list[_Place]:
    places: list[_Place] = []
    for _, run_id, status, uri in rows:
        said = _local_path(uri)
        if said is not None:
            here = home / run_id / "artifacts"
            places.append(_Place(run_id, said, here, has_some=status == "FINISHED"))
    return places


def _local_path(uri: str) -> Path | None:
    """Return the path of a local place, None for a server's or a bucket's."""
    if uri.startswith("file:"):
        return Path(unquote(urlsplit(uri).path))
    return Path(uri) if uri.startswith("/") else None


def _describe_lost(experiment: _Experiment, home: Path) -> str:
    lost = experiment.lost
    named = ", ".join(str(run.key) for run in lost[:NUM_NAMED])
    more = ", …" if len(lost) > NUM_NAMED else ""
    return (
        f"experiment {experiment.name}: the artifacts of {count(len(lost), 'run')} "
        f"({named}{more}) lie neither in {experiment.place.said} nor in {home}"
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
