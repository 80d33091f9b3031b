"""MLflow: runs are written to it, and read back from it. No other module imports it.

A run is buffered in a `Record` and delivered at its end: create, one batch, artifacts, terminate.
A store that doesn't answer then costs nothing but a later delivery.
"""

from __future__ import annotations

import logging
import os
import re
import time
import traceback
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import cast

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")

from filelock import FileLock, Timeout
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException
from mlflow.store.entities.paged_list import PagedList

from pipeline.config import TrackingConfig
from pipeline.errors import UserError
from pipeline.record import (
    DatasetRecord,
    Record,
    RunResult,
    new_folder,
    pending_records,
    read_record,
)
from pipeline.secrets import without_password

__all__ = ["Store", "TrackedRun", "deliver_pending", "open_store", "track"]

log = logging.getLogger(__name__)

FLUSH_AFTER_S = 10.0
"""Metrics of a run that takes longer are sent in between, so that one can watch it."""

METRICS_PER_BATCH = 1_000
"""MLflow's limit."""

RECORD_TAG = "record"
"""Tag that ties a run to its record, so that a delivery that broke off is not done twice."""

STORE_ERRORS = (MlflowException, OSError)


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
                with FileLock(self._lock_path(), timeout=120):
                    self._client = MlflowClient(self.uri)
                    self._client.search_experiments(max_results=1)
        return self._client

    def _lock_path(self) -> Path:
        folder = self._database_folder() or self.root
        folder.mkdir(parents=True, exist_ok=True)
        return folder / "mlflow.db.lock"

    def _database_folder(self) -> Path | None:
        path = self.uri.removeprefix("sqlite:///")
        return Path(path).absolute().parent if path != self.uri else None

    def check(self) -> None:
        """Open the store.

        Raises:
            UserError: it can't be opened; the reason and what to do.
        """
        try:
            self.client.search_experiments(max_results=1)
        except Exception as error:
            raise UserError(
                f"tracking.uri={without_password(self.uri)}: the tracking store can't be opened "
                f"({_reason(error)}). Check the address, or use tracking=local."
            ) from error

    def artifact_location(self, experiment_name: str) -> str | None:
        """Return the absolute folder for an experiment's artifacts; a server has its own."""
        if self.is_server:
            return None
        folder_name = re.sub(r"[^\w.-]+", "_", experiment_name).lstrip(".") or "_"
        return str((self._database_folder() or self.root) / "mlruns" / folder_name)

    def experiment_id(self, name: str) -> str:
        """Return the experiment of that name, made if it is new.

        Raises:
            UserError: it was deleted, or keeps its artifacts where this store can't write.
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
        if location.startswith("mlflow-artifacts:") and not self.is_server:
            raise UserError(
                f"{key}: was made through an MLflow server, which keeps its artifacts. "
                "Use tracking=server tracking.uri=http://…, or choose another name."
            )
        return experiment.experiment_id

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
        while record.num_metrics_delivered < len(record.metrics):
            first = record.num_metrics_delivered
            batch = record.metrics[first : first + METRICS_PER_BATCH]
            metrics = [Metric(m.key, m.value, m.timestamp, m.step) for m in batch]
            self.client.log_batch(record.run_id, metrics=metrics)
            record.num_metrics_delivered += len(batch)

    def deliver(self, record: Record) -> None:
        """Bring a finished record into the store. May be repeated after it broke off."""
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

    def result(self, run_id: str) -> RunResult:
        """Return what the store knows of a run."""
        return _result(self.client.get_run(run_id))

    def children(self, parent_run_id: str) -> list[RunResult]:
        """Return the runs of a sweep in the order in which they started."""
        experiment = self.client.get_run(parent_run_id).info.experiment_id
        wanted = f"tags.`mlflow.parentRunId` = '{parent_run_id}'"
        found: list[Run] = []
        token: str | None = ""
        while token is not None:
            page: PagedList[Run] = self.client.search_runs(
                [experiment],
                wanted,
                order_by=["attributes.start_time ASC"],
                page_token=token or None,
            )
            found += page
            token = cast("str | None", page.token)
        return [_result(run) for run in found]

    def how_to_open(self) -> str:
        """Return what a person does to see the runs in a browser."""
        if self.is_server:
            return without_password(self.uri)
        if self.uri == _default_uri(self.root):
            return f"python -m pipeline.ui, or mlflow ui in {self.root}"
        return f"mlflow ui --backend-store-uri {without_password(self.uri)}"

    def history(self, run_id: str, key: str) -> list[float]:
        """Return the values of a metric, epoch by epoch."""
        points = self.client.get_metric_history(run_id, key)
        return [point.value for point in sorted(points, key=lambda point: point.step)]


def _reason(error: BaseException) -> str:
    """Return the first line of an error, without passwords."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return without_password(lines[0])[:300]


def _dataset_input(dataset: DatasetRecord) -> DatasetInput:
    sizes = (
        f'{{"num_train": {dataset.num_train}, "num_val": {dataset.num_val}, '
        f'"num_test": {dataset.num_test}}}'
    )
    entity = Dataset(
        name=dataset.name,
        digest=dataset.digest[:36],
        source_type="local",
        source=f'{{"uri": "{dataset.source}"}}',
        profile=sizes,
    )
    return DatasetInput(entity, tags=[InputTag("mlflow.data.context", "training")])


def _result(run: Run) -> RunResult:
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
    )


def open_store(config: TrackingConfig, root: Path) -> Store:
    """Return the store of a config; one per address and process."""
    return _open(config.uri or _default_uri(root), root)


def _default_uri(root: Path) -> str:
    return f"sqlite:///{root / 'mlflow.db'}"


@cache
def _open(uri: str, root: Path) -> Store:
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    return Store(uri, root)


class TrackedRun:
    """A run, or a sweep, while it goes on."""

    def __init__(self, store: Store, record: Record) -> None:
        self.store = store
        self.record = record
        self._flushed = time.monotonic()

    @property
    def artifacts(self) -> Path:
        """The folder for files that shall become artifacts."""
        return self.record.artifacts

    def log(self, step: int, metrics: dict[str, float]) -> None:
        """Add an epoch's metrics; in a long run, send what has gathered."""
        self.record.log(step, metrics)
        if self.record.run_id is None or time.monotonic() - self._flushed < FLUSH_AFTER_S:
            return
        self._flushed = time.monotonic()
        try:
            self.store.send_metrics(self.record)
        except STORE_ERRORS as error:
            log.warning("The tracking store doesn't answer (%s); training on.", _reason(error))

    def begin(self, *, offline_is_fine: bool) -> None:
        """Make the run in the store, so that it is seen while it trains.

        Args:
            offline_is_fine: go on if the store doesn't answer; the run is made on delivery.
        """
        try:
            self.record.run_id = self.store.create_run(self.record)
        except STORE_ERRORS as error:
            if not offline_is_fine:
                raise
            log.warning("The tracking store doesn't answer (%s); training on.", _reason(error))

    def fail(self, error: BaseException) -> None:
        """Note what ended the run: its status, a tag and the traceback as an artifact."""
        killed = isinstance(error, KeyboardInterrupt | SystemExit)
        self.record.finish("KILLED" if killed else "FAILED")
        self.record.tags["error"] = "interrupted" if killed else f"{error}"[:5000]
        text = "".join(traceback.format_exception(error))
        (self.artifacts / "traceback.txt").write_text(text)

    def children(self) -> list[RunResult]:
        """Return the runs of this sweep, those that wait for delivery too."""
        parent = self.record.run_id
        assert parent is not None
        waiting = map(read_record, pending_records(self.store.root))
        kept = [r.result() for r in waiting if r.tags.get("mlflow.parentRunId") == parent]
        try:
            delivered = self.store.children(parent)
        except STORE_ERRORS as error:
            log.warning("The tracking store doesn't answer (%s).", _reason(error))
            return kept
        known = {result.run_id for result in kept}
        return [result for result in delivered if result.run_id not in known] + kept

    def deliver(self) -> None:
        """Save the finished record, then bring it, and any that wait, into the store."""
        self.record.save()
        if _deliver_folder(self.store, Path(self.record.folder)):
            deliver_pending(self.store)


@contextmanager
def track(
    store: Store,
    *,
    experiment_name: str,
    name: str,
    tags: dict[str, str],
    offline_is_fine: bool,
    params: dict[str, str] | None = None,
    dataset: DatasetRecord | None = None,
) -> Generator[TrackedRun]:
    """Track what happens in the block as one run with an honest status.

    FINISHED when the block ends, FAILED when it raises, KILLED when it is interrupted.
    """
    record = Record(
        folder=new_folder(store.root),
        uri=without_password(store.uri),
        experiment_name=experiment_name,
        name=name,
        tags=tags,
        params=params or {},
        dataset=dataset,
    )
    run = TrackedRun(store, record)
    try:
        run.begin(offline_is_fine=offline_is_fine)
    except BaseException:
        record.remove()
        raise
    try:
        yield run
    except BaseException as error:
        run.fail(error)
        raise
    else:
        record.finish("FINISHED")
    finally:
        run.deliver()


def _deliver_folder(store: Store, folder: Path) -> bool:
    """Deliver one record and remove it; if the store doesn't take it, keep it and say so."""
    try:
        with FileLock(folder / "lock", timeout=0):
            record = read_record(folder)
            store.deliver(record)
            record.remove()
    except (Timeout, FileNotFoundError):  # another process is delivering it, or has done so
        return True
    except STORE_ERRORS as error:
        log.warning(
            "The tracking store didn't take the run (%s). Its record is kept in %s; "
            "`python -m pipeline.deliver` brings it in.",
            _reason(error),
            folder,
        )
        return False
    return True


def deliver_pending(store: Store) -> tuple[int, int]:
    """Deliver the records that wait for this store.

    Returns:
        How many were delivered and how many still wait.
    """
    wanted = without_password(store.uri)
    delivered = 0
    folders = [path for path in pending_records(store.root) if read_record(path).uri == wanted]
    for folder in folders:
        if not _deliver_folder(store, folder):
            break
        delivered += 1
    return delivered, len(folders) - delivered
