"""The MLflow store: runs are written to it, and read back from it, many at a time."""

from __future__ import annotations

import logging
import re
import shlex
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from functools import cache, cached_property
from itertools import groupby
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Experiment
from mlflow.exceptions import MlflowException
from mlflow.utils.file_utils import (
    local_file_uri_to_path,  # pyright: ignore[reportUnknownVariableType]
)

from pipeline.config.options import project_root
from pipeline.config.schema import TrackingConfig
from pipeline.errors import UserError
from pipeline.secrets import without_password
from pipeline.tracking import paths
from pipeline.tracking import sqlite as sqlite_file
from pipeline.tracking.database import Database, open_database
from pipeline.tracking.record import Record, RunEnd, RunFilter, RunResult
from pipeline.tracking.requests import Requests, for_each
from pipeline.tracking.rows import RECORD_TAG, artifact_uri

__all__ = ["STORE_ERRORS", "Store", "StoreError", "is_refusal", "open_store", "reason"]

log = logging.getLogger(__name__)

BATCH = 500
"""So many runs at most are sent together."""

NUM_REQUESTS = 4
"""So many at most are on their way to a server at once."""

StoreError = MlflowException
"""What MLflow raises, whatever the store is."""

STORE_ERRORS = (StoreError, OSError)
"""What a call to the store can raise."""


class Store:
    """An MLflow tracking store: a server, or a database that is written directly."""

    def __init__(self, uri: str, root: Path) -> None:
        self.uri = uri
        self.root = root
        self.is_server = uri.startswith("http")
        self._num_at_once = NUM_REQUESTS if self.is_server else 1
        self._is_away = False

    @cached_property
    def client(self) -> MlflowClient:
        """The connection. The first one to a database makes its tables, one process at a time."""
        return MlflowClient(self.uri) if self.is_server else self._open_database()

    @cached_property
    def _runs(self) -> Database | Requests:
        """The runs of the store, written directly where that can be done."""
        client = self.client  # first, since it makes a database's tables
        database = None if self.is_server else open_database(self.uri)
        return database or Requests(client, self._num_at_once)

    def _open_database(self) -> MlflowClient:
        with sqlite_file.lock(self._folder):
            try:
                if self.database is not None:
                    sqlite_file.make_whole(self.database, _connect)
                return _connect(self.uri)
            except STORE_ERRORS:
                raise
            except Exception as error:  # SQLAlchemy's own, a driver that isn't installed
                raise self.unavailable(error) from error

    @property
    def database(self) -> Path | None:
        """The SQLite file; None of a server or of another database."""
        return sqlite_file.path_of(self.uri)

    @property
    def is_own(self) -> bool:
        """Say whether it is the database in the root; any other one may have runs of more roots."""
        return self.uri == paths.database_uri(self.root)

    @property
    def _folder(self) -> Path:
        """Where mlruns/ lies: beside the SQLite file, else in the root."""
        return self.database.parent if self.database else self.root

    def artifact_location(self, experiment_name: str) -> str | None:
        """Return the absolute folder for an experiment's artifacts; a server has its own."""
        if self.is_server:
            return None
        return str(paths.experiment(self._folder, experiment_name))

    def experiment(self, name: str) -> Experiment:
        """Return the experiment of that name, made if it is new.

        Raises:
            UserError: it was deleted, or keeps its artifacts where this store can't write, or
                where they lay before the folder was moved.
        """
        experiment = self._find_experiment(name) or self._make_experiment(name)
        key = f"tracking.experiment_name={name}"
        if experiment.lifecycle_stage == "deleted":
            raise UserError(
                f"{key}: was deleted in MLflow. Restore it with `mlflow experiments restore "
                f"--experiment-id {experiment.experiment_id}`, or choose another name."
            )
        location = experiment.artifact_location
        self._check_not_moved(location)
        if location.startswith("mlflow-artifacts:") and not self.is_server:
            raise UserError(
                f"{key}: was made through an MLflow server, which keeps its artifacts. "
                "Use tracking=server tracking.uri=http://…, or choose another name."
            )
        return experiment

    def experiment_of(self, run_id: str) -> str:
        """Return the name of the experiment that a run belongs to."""
        experiment_id = self.client.get_run(run_id).info.experiment_id
        return self.client.get_experiment(experiment_id).name

    def _find_experiment(self, name: str) -> Experiment | None:
        return self.client.get_experiment_by_name(name)

    def _make_experiment(self, name: str) -> Experiment:
        try:
            made = self.client.create_experiment(name, self.artifact_location(name))
        except MlflowException:  # another process made it meanwhile
            found = self._find_experiment(name)
            if found is None:
                raise
            return found
        return self.client.get_experiment(made)

    def _check_not_moved(self, location: str) -> None:
        """Refuse to write where the folder lay before it was moved: MLflow's paths are absolute."""
        said = Path(location.removeprefix("file://"))
        here = paths.mlruns(self._folder) / said.name
        if said.is_absolute() and here.is_dir() and not (said.is_dir() and said.samefile(here)):
            raise UserError(
                f"root={self._folder}: was moved from {said.parent.parent}. Correct the "
                "paths in its mlflow.db with `python -m pipeline.doctor --fix`."
            )

    def unavailable(self, error: BaseException) -> UserError:
        """Return the error to raise when nothing can start because the store fails."""
        return UserError(
            f"tracking.uri={without_password(self.uri)}: the tracking store can't be used "
            f"({reason(error)}). Check the address, or use tracking=local."
        )

    def say_away(self, error: BaseException) -> None:
        """Say that the store doesn't answer: once, until it has answered again."""
        if not self._is_away:
            log.warning(
                "The tracking store %s doesn't answer (%s). Training goes on; what is tracked "
                "stays in the spool until then.",
                without_password(self.uri),
                reason(error),
            )
        self._is_away = True

    def note_answer(self) -> None:
        """Note that the store answers."""
        self._is_away = False

    def places(self, records: Sequence[Record]) -> dict[str, Path]:
        """Return the folders, by record, of those runs whose files can be written to their place.

        Args:
            records: of one experiment.

        Raises:
            UserError: the experiment can't be used.
        """
        experiment = self.experiment(records[0].experiment_name)
        if isinstance(self._runs, Requests) or not _is_local(experiment.artifact_location):
            return {}
        ids = {record.id: record.run_id or record.id for record in records}
        return {
            record_id: Path(local_file_uri_to_path(artifact_uri(experiment, run_id)))
            for record_id, run_id in ids.items()
        }

    def begin(self, records: Sequence[Record]) -> None:
        """Make the runs of records, or let those go on that there are; all are RUNNING then.

        Args:
            records: of one experiment.
        """
        experiment = self.experiment(records[0].experiment_name)
        known = [record for record in records if record.run_id is not None]
        new = [record for record in records if record.run_id is None]
        for batch in _batches(known):
            self._runs.reopen(batch)
        for batch in _batches(new):
            self._runs.create(batch, experiment, may_be_there=False)

    def send_metrics(self, records: Sequence[Record]) -> None:
        """Send the metrics that the store doesn't have yet, of runs that it has."""
        for batch in _batches([record for record in records if record.run_id is not None]):
            self._runs.add_metrics(batch)

    def send(self, records: Sequence[Record]) -> list[tuple[Record, StoreError]]:
        """Bring finished records into the store; may be repeated after it was interrupted.

        Returns:
            The records that the store answers it doesn't take, and why.
        """
        return [refused for batch in _batches(records) for refused in self._send(batch)]

    def _send(self, records: Sequence[Record]) -> list[tuple[Record, StoreError]]:
        """Send records together; each for itself, if they hold one that is refused."""
        try:
            self._send_together(records)
        except StoreError as error:
            if not is_refusal(error):
                raise
            if len(records) == 1:
                return [(records[0], error)]
            return [refused for record in records for refused in self._send([record])]
        return []

    def _send_together(self, records: Sequence[Record]) -> None:
        new = [record for record in records if record.run_id is None]
        for name, its_records in groupby(new, key=lambda record: record.experiment_name):
            self._runs.create(list(its_records), self.experiment(name), may_be_there=True)
        for_each(self._send_files, records, self._num_at_once)
        self._runs.end(records)

    def _send_files(self, record: Record) -> None:
        """Send the files that wait in the spool."""
        folder = paths.spooled_files(self.root, record.id)
        if folder.is_dir() and not folder.is_symlink() and any(folder.iterdir()):
            self.client.log_artifacts(record.known_run_id, str(folder))

    def children(self, parent_run_id: str) -> list[RunResult]:
        """Return the runs of a sweep in the order in which they started, without their curves.

        A sweep over data sets has runs in the experiment of each.
        """
        return self._runs.search(RunFilter(tag="mlflow.parentRunId", value=parent_run_id))

    def find(self, wanted: RunFilter) -> list[RunResult]:
        """Return the runs of all experiments that a filter finds, the first to start first."""
        return self._runs.search(wanted)

    def runs(self, experiment_name: str) -> list[RunResult] | None:
        """Return the runs of an experiment, its sweeps' parents too; None if there is no such."""
        experiment = self._find_experiment(experiment_name)
        return experiment and self._runs.search(RunFilter(experiment.experiment_id))

    def finished(self, experiment_name: str) -> list[RunResult]:
        """Return the finished runs of an experiment in order of start, without their curves."""
        experiment = self._find_experiment(experiment_name)
        if experiment is None:
            return []
        return self._runs.search(RunFilter(experiment.experiment_id, status="FINISHED"))

    def with_curves(self, results: Sequence[RunResult]) -> list[RunResult]:
        """Return the same results with their curves."""
        curves = self._runs.curves([result.run_id for result in results if not result.curves])
        return [
            result if result.curves else replace(result, curves=curves[result.run_id])
            for result in results
        ]

    def sweeps(self, experiment_name: str) -> list[RunResult]:
        """Return the parent runs of an experiment's sweeps, the newest first."""
        experiment = self._find_experiment(experiment_name)
        found = experiment and self._runs.search(RunFilter(experiment.experiment_id, tag="sweep"))
        return found[::-1] if found else []

    def num_metrics(self, run_ids: Sequence[str]) -> dict[str, int]:
        """Return how many points the store has of all of a run's metrics together, by run id."""
        return self._runs.num_metrics(run_ids)

    def remove(self, run_ids: Collection[str]) -> None:
        """Delete runs; `mlflow gc` would remove them for good, until then they can be restored."""
        if run_ids:
            self._runs.delete(run_ids)

    def now_s(self) -> float:
        """Return the seconds since 1970 by the store's clock, the same for all machines."""
        return self._runs.now_s()

    def run_of_record(self, record_id: str) -> RunResult | None:
        """Return the run that was made of a record, also if it was deleted."""
        found = self._runs.search(RunFilter(tag=RECORD_TAG, value=record_id, with_deleted=True))
        return found[0] if found else None

    def end(self, ends: Sequence[RunEnd]) -> None:
        """Set the status of runs that didn't end well, and say why; nothing else of them."""
        self._runs.note_ends(ends)

    def result(self, run_id: str) -> RunResult:
        """Return one run, with its curves.

        Raises:
            UserError: there is no such run.
        """
        try:
            experiment = self.client.get_run(run_id).info.experiment_id
        except MlflowException as error:
            raise UserError(f"{run_id}: {reason(error)}") from error
        found = self._runs.search(RunFilter(experiment, id_prefix=run_id, with_deleted=True))
        return self.with_curves(found)[0]

    def artifact_names(self, run_id: str) -> set[str]:
        """Return the names of a run's artifacts."""
        return {entry.path for entry in self.client.list_artifacts(run_id)}

    def fetch_artifact(self, run_id: str, name: str, folder: Path) -> Path:
        """Copy one artifact of a run into a folder and return where it is."""
        return Path(self.client.download_artifacts(run_id, name, str(folder)))

    def fetch_artifacts(self, run_id: str, folder: Path) -> None:
        """Copy the artifacts of a run into a folder."""
        self.client.download_artifacts(run_id, "", str(folder))

    def add_artifacts(self, run_id: str, files: Sequence[Path]) -> None:
        """Add files to a run's artifacts."""
        for file in files:
            self.client.log_artifact(run_id, str(file))

    @property
    def place(self) -> list[str]:
        """The words that tell a command where the runs are; none if they are where it looks."""
        root = [] if self.root == project_root() else [f"root={self.root}"]
        return root if self.is_own else [*root, f"tracking.uri={without_password(self.uri)}"]

    def command(self, name: str, *arguments: str) -> str:
        """Return how one of our commands is typed to look here, such as `compare` with an id."""
        return shlex.join(["python", "-m", f"pipeline.{name}", *arguments, *self.place])

    def how_to_open(self) -> str:
        """Return what a person does to see the runs in a browser."""
        if self.is_server:
            return without_password(self.uri)
        if self.is_own:
            return f"{self.command('ui')}, or mlflow ui in {self.root}"
        return f"mlflow ui --backend-store-uri {without_password(self.uri)}"


def _connect(uri: str) -> MlflowClient:
    """Return a connection to a database that has been used once, which makes its tables."""
    client = MlflowClient(uri)
    client.search_experiments(max_results=1)
    return client


def _batches(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
    for first in range(0, len(records), BATCH):
        yield records[first : first + BATCH]


def _is_local(location: str) -> bool:
    """Return whether an experiment's files lie in a folder of this machine."""
    return location.startswith(("/", "file:"))


def reason(error: BaseException) -> str:
    """Return the first line of an error, of a database's own if that is behind it, no passwords.

    Of a server that can't be reached it is the system's word, such as "Connection refused".
    """
    error = getattr(error.__cause__, "orig", None) or error
    lines = str(error).strip().splitlines() or [type(error).__name__]
    if "Max retries exceeded" in lines[0]:
        by_system = re.search(r"\[Errno -?\d+\] ([^'\")]+)|(timed out)", lines[0])
        return (by_system and by_system[0].rpartition("] ")[2]) or "no connection"
    return without_password(lines[0])[:300]


def is_refusal(error: BaseException) -> bool:
    """Return whether the store answers, but doesn't take what it was given."""
    return isinstance(error, StoreError) and 400 <= error.get_http_status_code() < 500


def open_store(config: TrackingConfig, root: Path) -> Store:
    """Return the store of a config; one per address and process."""
    return _open(config.uri or paths.database_uri(root), root)


@cache
def _open(uri: str, root: Path) -> Store:
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # a store that is away is told once
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # we tell its errors
    return Store(uri, root)
