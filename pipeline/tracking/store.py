"""MLflow: runs are written to it, and read back from it. No other module imports it."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import cast

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")

from mlflow import MlflowClient
from mlflow.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    Metric,
    Param,
    Run,
    RunTag,
    ViewType,
)
from mlflow.exceptions import MlflowException
from mlflow.store.entities.paged_list import PagedList

from pipeline.config.schema import TrackingConfig
from pipeline.errors import UserError
from pipeline.secrets import without_password
from pipeline.tracking import paths
from pipeline.tracking import sqlite as sqlite_file
from pipeline.tracking.record import CURVES, DatasetRecord, Record, RunResult, curve

__all__ = ["STORE_ERRORS", "Store", "StoreError", "is_refusal", "open_store", "reason"]

METRICS_PER_BATCH = 1_000
"""MLflow's limit."""

RECORD_TAG = "record"
"""Tag that ties a run to its record, so that it isn't made twice if sending was interrupted."""

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
        self._client: MlflowClient | None = None

    @property
    def client(self) -> MlflowClient:
        """The connection. The first one to a database makes its tables, one process at a time."""
        if self._client is None:
            if self.is_server:
                self._client = MlflowClient(self.uri)
            else:
                self._client = self._open_database()
        return self._client

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
    def _folder(self) -> Path:
        """Where mlruns/ lies: beside the SQLite file, else in the root."""
        return self.database.parent if self.database else self.root

    def artifact_location(self, experiment_name: str) -> str | None:
        """Return the absolute folder for an experiment's artifacts; a server has its own."""
        if self.is_server:
            return None
        return str(paths.experiment(self._folder, experiment_name))

    def experiment_id(self, name: str) -> str:
        """Return the experiment of that name, made if it is new.

        Raises:
            UserError: it was deleted, or keeps its artifacts where this store can't write, or
                where they lay before the folder was moved.
        """
        experiment = self.client.get_experiment_by_name(name)
        if experiment is None:
            try:
                return self.client.create_experiment(name, self.artifact_location(name))
            except MlflowException:  # another process made it meanwhile
                experiment = self.client.get_experiment_by_name(name)
                if experiment is None:
                    raise
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
        return experiment.experiment_id

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

    def create_run(self, record: Record) -> str:
        """Make the run of a record, status RUNNING, and return its id."""
        run = self.client.create_run(
            self.experiment_id(record.experiment_name),
            start_time=record.start_time,
            tags={**record.tags, RECORD_TAG: Path(record.folder).name},
            run_name=record.name,
        )
        return run.info.run_id

    def send_metrics(self, record: Record) -> None:
        """Send the metrics that the store doesn't have yet."""
        assert record.run_id is not None
        while record.num_metrics_sent < len(record.metrics):
            first = record.num_metrics_sent
            batch = record.metrics[first : first + METRICS_PER_BATCH]
            metrics = [Metric(m.key, m.value, m.timestamp, m.step) for m in batch]
            self.client.log_batch(record.run_id, metrics=metrics)
            record.num_metrics_sent += len(batch)

    def send(self, record: Record) -> None:
        """Bring a finished record into the store. May be repeated after it was interrupted."""
        if record.run_id is None:
            record.run_id = self._run_of_record(record) or self.create_run(record)
            record.save()
        params = [Param(key, value) for key, value in record.params.items()]
        tags = [RunTag(key, value) for key, value in record.tags.items()]
        self.client.log_batch(record.run_id, params=params, tags=tags)
        self.send_metrics(record)
        if record.dataset:
            self.client.log_inputs(record.run_id, datasets=[_dataset_input(record.dataset)])
        if any(record.artifacts.iterdir()):
            self.client.log_artifacts(record.run_id, str(record.artifacts))
        self.client.set_terminated(record.run_id, record.status, record.end_time)

    def _run_of_record(self, record: Record) -> str | None:
        experiment = self.experiment_id(record.experiment_name)
        wanted = f"tags.`{RECORD_TAG}` = '{Path(record.folder).name}'"
        runs = self.client.search_runs([experiment], wanted, max_results=1)
        return runs[0].info.run_id if runs else None

    def children(self, parent_run_id: str) -> list[RunResult]:
        """Return the runs of a sweep in the order in which they started, without their curves."""
        experiment = self.client.get_run(parent_run_id).info.experiment_id
        wanted = f"tags.`mlflow.parentRunId` = '{parent_run_id}'"
        return [_result(run, {}) for run in self._search(experiment, wanted)]

    def finished(self, experiment_name: str) -> list[RunResult]:
        """Return the finished runs of an experiment in order of start, without their curves."""
        experiment = self.client.get_experiment_by_name(experiment_name)
        if experiment is None:
            return []
        wanted = "attributes.status = 'FINISHED'"
        return [_result(run, {}) for run in self._search(experiment.experiment_id, wanted)]

    def with_curves(self, results: Sequence[RunResult]) -> list[RunResult]:
        """Return the same results with their curves, which take a query each."""
        return [
            result if result.curves else replace(result, curves=self._curves(result.run_id))
            for result in results
        ]

    def sweeps(self, experiment_name: str) -> list[RunResult]:
        """Return the parent runs of an experiment's sweeps, the newest first."""
        experiment = self.client.get_experiment_by_name(experiment_name)
        if experiment is None:
            return []
        found = self._search(experiment.experiment_id, "tags.sweep != ''")
        return [_result(run, {}) for run in reversed(found)]

    def num_metrics(self, run_id: str) -> int:
        """Return how many points the store has of all of a run's metrics together."""
        keys: Iterable[str] = self.client.get_run(run_id).data.metrics
        return sum(len(self.client.get_metric_history(run_id, key)) for key in keys)

    def reopen(self, record: Record) -> None:
        """Let a run go on: it is RUNNING again, and its tags name the process that has it."""
        assert record.run_id is not None
        self.experiment_id(record.experiment_name)
        self.client.update_run(record.run_id, status="RUNNING")
        tags = [RunTag(key, value) for key, value in record.tags.items()]
        self.client.log_batch(record.run_id, tags=tags)
        if "error" in self.client.get_run(record.run_id).data.tags:
            self.client.delete_tag(record.run_id, "error")

    def remove(self, run_ids: Iterable[str]) -> None:
        """Delete runs; `mlflow gc` would remove them for good, until then they can be restored."""
        for run_id in run_ids:
            self.client.delete_run(run_id)

    def running(self) -> list[RunResult]:
        """Return the runs of all experiments that are RUNNING, without their curves."""
        wanted = "attributes.status = 'RUNNING'"
        experiments = [entry.experiment_id for entry in self.client.search_experiments()]
        return [_result(run, {}) for entry in experiments for run in self._search(entry, wanted)]

    def run_of_folder(self, name: str) -> RunResult | None:
        """Return the run that was started with a record's folder, also if it was deleted."""
        experiments = self.client.search_experiments(view_type=ViewType.ALL)
        runs = self.client.search_runs(
            [experiment.experiment_id for experiment in experiments],
            f"tags.`{RECORD_TAG}` = '{name}'",
            run_view_type=ViewType.ALL,
            max_results=1,
        )
        return _result(runs[0], {}) if runs else None

    def end(self, run_id: str, status: str, why: str) -> None:
        """Set the status of a run that didn't end well, and say why; nothing else of it."""
        self.client.set_tag(run_id, "error", why)
        self.client.set_terminated(run_id, status)

    def _search(self, experiment_id: str, wanted: str) -> list[Run]:
        """Return all runs that a filter finds, in the order in which they started."""
        found: list[Run] = []
        token: str | None = ""
        while token is not None:
            page: PagedList[Run] = self.client.search_runs(
                [experiment_id],
                wanted,
                order_by=["attributes.start_time ASC"],
                page_token=token or None,
            )
            found += page
            token = cast("str | None", page.token)
        return found

    def result(self, run_id: str) -> RunResult:
        """Return one run, with its curves.

        Raises:
            UserError: there is no such run.
        """
        try:
            run = self.client.get_run(run_id)
        except MlflowException as error:
            raise UserError(f"{run_id}: {reason(error)}") from error
        return _result(run, self._curves(run_id))

    def artifact_names(self, run_id: str) -> set[str]:
        """Return the names of a run's artifacts."""
        return {entry.path for entry in self.client.list_artifacts(run_id)}

    def fetch_artifacts(self, run_id: str, folder: Path) -> None:
        """Copy the artifacts of a run into a folder."""
        self.client.download_artifacts(run_id, "", str(folder))

    def add_artifacts(self, run_id: str, folder: Path) -> None:
        """Add the files of a folder to a run's artifacts."""
        self.client.log_artifacts(run_id, str(folder))

    def _curves(self, run_id: str) -> dict[str, list[float]]:
        return {key: self._history(run_id, key) for key in CURVES}

    def _history(self, run_id: str, key: str) -> list[float]:
        points = self.client.get_metric_history(run_id, key)
        return curve((point.step, point.value) for point in points)

    def how_to_open(self) -> str:
        """Return what a person does to see the runs in a browser."""
        if self.is_server:
            return without_password(self.uri)
        if self.uri == paths.database_uri(self.root):
            return f"python -m pipeline.ui, or mlflow ui in {self.root}"
        return f"mlflow ui --backend-store-uri {without_password(self.uri)}"


def _connect(uri: str) -> MlflowClient:
    """Return a connection to a database that has been used once, which makes its tables."""
    client = MlflowClient(uri)
    client.search_experiments(max_results=1)
    return client


def reason(error: BaseException) -> str:
    """Return the first line of an error, of a database's own if that is behind it, no passwords."""
    error = getattr(error.__cause__, "orig", None) or error
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return without_password(lines[0])[:300]


def is_refusal(error: BaseException) -> bool:
    """Return whether the store answers, but doesn't take what it was given."""
    return isinstance(error, StoreError) and 400 <= error.get_http_status_code() < 500


def _dataset_input(dataset: DatasetRecord) -> DatasetInput:
    sizes = {
        "num_train": dataset.num_train,
        "num_val": dataset.num_val,
        "num_test": dataset.num_test,
    }
    entity = Dataset(
        name=dataset.name,
        digest=dataset.digest[:36],
        source_type="local",
        source=json.dumps({"uri": dataset.source}),
        profile=json.dumps(sizes),
    )
    return DatasetInput(entity, tags=[InputTag("mlflow.data.context", "training")])


def _result(run: Run, curves: dict[str, list[float]]) -> RunResult:
    info, data = run.info, run.data
    ended: int | None = info.end_time
    return RunResult(
        run_id=info.run_id,
        name=info.run_name or "",
        status=info.status,
        params=dict(data.params),
        metrics=dict(data.metrics),
        seconds=(ended - info.start_time) / 1000 if ended else None,
        error=data.tags.get("error"),
        curves=curves,
        tags=dict(data.tags),
    )


def open_store(config: TrackingConfig, root: Path) -> Store:
    """Return the store of a config; one per address and process."""
    return _open(config.uri or paths.database_uri(root), root)


@cache
def _open(uri: str, root: Path) -> Store:
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # we tell its errors
    return Store(uri, root)
