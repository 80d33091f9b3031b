"""Many runs at once, in a database that we write directly.

MLflow's client takes a transaction and several queries for each thing that it is told of a run.
Here what is known of many runs is one transaction, of the rows that the client would write.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Collection, Generator, Sequence
from contextlib import contextmanager
from typing import Any

from mlflow.entities import Experiment
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import (
    BAD_REQUEST,
    INVALID_PARAMETER_VALUE,
    RESOURCE_DOES_NOT_EXIST,
    TEMPORARILY_UNAVAILABLE,
)
from mlflow.store.db.utils import (
    create_sqlalchemy_engine,  # pyright: ignore[reportUnknownVariableType]
)
from sqlalchemy import Connection, Engine, Table, bindparam, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.event import listen
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from pipeline.tracking import queries, rows
from pipeline.tracking.record import DatasetRecord, Record, RunEnd, RunFilter, RunResult, now_ms
from pipeline.tracking.rows import Row
from pipeline.tracking.tables import (
    DATASETS,
    INPUT_TAGS,
    INPUTS,
    LATEST_METRICS,
    METRICS,
    PARAMS,
    RUNS,
    TAGS,
)

__all__ = ["KNOWN_REVISIONS", "Database", "open_database"]

log = logging.getLogger(__name__)

KNOWN_REVISIONS = frozenset({"dc11669786a5"})
"""The revisions of MLflow's tables that the tests know: that of MLflow 3.17."""

INSERTS = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
"""How an insert is written that says what becomes of rows that are there already."""


def open_database(uri: str) -> Database | None:
    """Return a database to write directly, or None, with a line in the log, if it isn't known.

    Args:
        uri: of a database that has MLflow's tables.
    """
    engine = create_sqlalchemy_engine(uri)
    kind = engine.dialect.name
    if kind == "sqlite":
        listen(engine, "connect", _set_up_sqlite)
    with _connection(engine) as connection:
        (revision,) = connection.exec_driver_sql("SELECT version_num FROM alembic_version").one()
    if kind in INSERTS and revision in KNOWN_REVISIONS:
        return Database(engine)
    log.warning(
        "Runs are sent one by one, which is slower: this %s database, revision %s of MLflow's "
        "tables, is none that we know how to write directly.",
        kind,
        revision,
    )
    return None


def _set_up_sqlite(connection: Any, _record: object) -> None:
    """Set for a new connection what MLflow sets for its own."""
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA busy_timeout = 20000")
    connection.execute("PRAGMA analysis_limit = 1000")  # rows of each index: milliseconds


@contextmanager
def _connection(engine: Engine) -> Generator[Connection]:
    """Open a connection whose errors are MLflow's: the database is away (503), or refuses (400)."""
    try:
        with engine.connect() as connection:
            yield connection
    except SQLAlchemyError as error:
        is_away = isinstance(error, OperationalError) or (
            isinstance(error, DBAPIError) and error.connection_invalidated
        )
        code = TEMPORARILY_UNAVAILABLE if is_away else BAD_REQUEST
        raise MlflowException(str(error), code) from error


class Database:
    """MLflow's tables; whatever is written is there whole or not at all, and may be repeated."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._insert = INSERTS[engine.dialect.name]

    @contextmanager
    def _transaction(self) -> Generator[Connection]:
        with _connection(self._engine) as connection:
            if self._engine.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")  # its driver would begin too late
            yield connection
            connection.commit()

    def create(
        self, records: Sequence[Record], experiment: Experiment, *, may_be_there: bool = True
    ) -> None:
        """Make the runs of records, status RUNNING, with their params, unless they are there."""
        del may_be_there  # it makes no difference
        runs = [rows.run_row(record, experiment) for record in records]
        tags = [row for it in records for row in rows.tag_rows(it.id, rows.first_tags(it))]
        params = [row for it in records for row in rows.param_rows(it.id, it.params)]
        with self._transaction() as connection:
            self._add(connection, RUNS, runs)
            self._add(connection, TAGS, tags)
            self._add(connection, PARAMS, params)
        for record in records:
            record.run_id = record.id

    def reopen(self, records: Sequence[Record]) -> None:
        """Let runs go on: RUNNING again, with the tags of the process that has them now."""
        ids = [record.known_run_id for record in records]
        tags = [
            row for it in records for row in rows.tag_rows(it.known_run_id, rows.record_tags(it))
        ]
        params = [row for it in records for row in rows.param_rows(it.known_run_id, it.params)]
        with self._transaction() as connection:
            self._check_active(connection, ids)
            self._set(connection, [{"id": it, "status": "RUNNING"} for it in ids])
            self._put(connection, TAGS, tags)
            self._add(connection, PARAMS, params)
            error = (TAGS.c.key == "error") & (TAGS.c.run_uuid == bindparam("id"))
            connection.execute(TAGS.delete().where(error), [{"id": it} for it in ids])

    def add_metrics(self, records: Sequence[Record]) -> None:
        """Add the metrics that the database doesn't have yet."""
        metrics = [row for record in records for row in _new_metrics(record)]
        with self._transaction() as connection:
            self._check_active(connection, [record.known_run_id for record in records])
            self._add_metrics(connection, metrics)
        for record in records:  # of one that went on from a checkpoint it may have had more
            record.num_metrics_sent = max(record.num_metrics_sent, len(record.metrics))

    def end(self, records: Sequence[Record]) -> None:
        """Add all that the database doesn't know yet of runs that have ended."""
        tags = [row for it in records for row in rows.tag_rows(it.known_run_id, it.tags)]
        metrics = [row for record in records for row in _new_metrics(record)]
        ends = [
            {"id": it.known_run_id, "status": it.status, "end_time": it.end_time} for it in records
        ]
        with self._transaction() as connection:
            experiments = self._check_active(connection, [it.known_run_id for it in records])
            self._put(connection, TAGS, tags)
            self._add_metrics(connection, metrics)
            for dataset in {record.dataset for record in records if record.dataset}:
                ids = [it.known_run_id for it in records if it.dataset == dataset]
                for experiment in {experiments[run_id] for run_id in ids}:
                    there = [run_id for run_id in ids if experiments[run_id] == experiment]
                    self._add_inputs(connection, experiment, dataset, there)
            self._set(connection, ends)
            if self._engine.dialect.name == "sqlite":  # which else plans for tables of a few rows:
                connection.exec_driver_sql("ANALYZE")  # MLflow's pages would take 10,000 × as long
        for record in records:
            record.num_metrics_sent = len(record.metrics)

    def note_ends(self, ends: Sequence[RunEnd]) -> None:
        """Set the status of runs that didn't end well, and say why; nothing else of them."""
        now = now_ms()
        tags = [row for it in ends for row in rows.tag_rows(it.run_id, {"error": it.why})]
        runs = [{"id": it.run_id, "status": it.status, "end_time": now} for it in ends]
        with self._transaction() as connection:
            self._put(connection, TAGS, tags)
            self._set(connection, runs)

    def delete(self, run_ids: Collection[str]) -> None:
        """Mark runs as deleted."""
        now = now_ms()
        runs = [{"id": it, "lifecycle_stage": "deleted", "deleted_time": now} for it in run_ids]
        with self._transaction() as connection:
            self._set(connection, runs)

    def search(self, wanted: RunFilter) -> list[RunResult]:
        """Return the runs that a filter finds, in the order in which they started, no curves."""
        with _connection(self._engine) as connection:
            return list(filter(wanted.has_status, queries.search(connection, wanted)))

    def curves(self, run_ids: Sequence[str]) -> dict[str, dict[str, list[float]]]:
        """Return the curves of runs by their ids."""
        with _connection(self._engine) as connection:
            return queries.curves(connection, run_ids)

    def num_metrics(self, run_ids: Sequence[str]) -> dict[str, int]:
        """Return how many points there are of all of a run's metrics together, by run id."""
        with _connection(self._engine) as connection:
            return queries.num_metrics(connection, run_ids)

    def now_s(self) -> float:
        """Return the seconds since 1970 by the database's clock."""
        with _connection(self._engine) as connection:
            return queries.now_s(connection)

    def _add(self, connection: Connection, table: Table, new: Sequence[Row]) -> None:
        """Insert the rows that aren't there yet."""
        if new:
            connection.execute(self._insert(table).on_conflict_do_nothing(), new)

    def _put(self, connection: Connection, table: Table, new: Sequence[Row]) -> None:
        """Insert rows of a key and a value, or replace the value that is there."""
        insert = self._insert(table)
        put = insert.on_conflict_do_update(
            index_elements=["key", "run_uuid"],
            set_={"value": insert.excluded["value"]},
            where=table.c.value != insert.excluded["value"],
        )
        if new:
            connection.execute(put, new)

    def _set(self, connection: Connection, changed: Sequence[Row]) -> None:
        """Set columns in the rows of runs, which `id` names."""
        if changed:
            update = RUNS.update().where(RUNS.c.run_uuid == bindparam("id"))
            connection.execute(update, changed)

    def _check_active(self, connection: Connection, run_ids: Sequence[str]) -> dict[str, int]:
        """Return the experiments of runs by their ids.

        Raises:
            MlflowException: one isn't there, or was deleted.
        """
        known = queries.stages(connection, run_ids)
        for run_id in run_ids:
            if run_id not in known:
                raise MlflowException(f"Run with id={run_id} not found", RESOURCE_DOES_NOT_EXIST)
            if known[run_id][0] != "active":
                raise MlflowException(f"The run {run_id} was deleted.", INVALID_PARAMETER_VALUE)
        return {run_id: experiment for run_id, (_, experiment) in known.items()}

    def _add_metrics(self, connection: Connection, metrics: Sequence[Row]) -> None:
        self._add(connection, METRICS, metrics)
        insert = self._insert(LATEST_METRICS)
        order = ("step", "timestamp", "value")
        put = insert.on_conflict_do_update(
            index_elements=["key", "run_uuid"],
            set_={name: insert.excluded[name] for name in (*order, "is_nan")},
            where=tuple_(*(insert.excluded[name] for name in order))
            > tuple_(*(LATEST_METRICS.c[name] for name in order)),
        )
        if metrics:
            connection.execute(put, rows.latest_metric_rows(metrics))

    def _add_inputs(
        self, connection: Connection, experiment: int, dataset: DatasetRecord, ids: Sequence[str]
    ) -> None:
        """Say of runs of one experiment what they were trained on."""
        entry = rows.dataset_input(dataset)
        self._add(connection, DATASETS, [rows.dataset_row(entry.dataset, experiment)])
        found = select(DATASETS.c.dataset_uuid).where(
            DATASETS.c.experiment_id == experiment,
            DATASETS.c.name == entry.dataset.name,
            DATASETS.c.digest == entry.dataset.digest,
        )
        source: str = connection.execute(found).scalar_one()
        known = queries.trained_on(connection, source, ids)
        inputs = {uuid.uuid4().hex: run_id for run_id in ids if run_id not in known}
        self._add(connection, INPUTS, [rows.input_row(it, source, inputs[it]) for it in inputs])
        tags = [
            {"input_uuid": it, "name": tag.key, "value": tag.value}
            for it in inputs
            for tag in entry.tags
        ]
        self._add(connection, INPUT_TAGS, tags)


def _new_metrics(record: Record) -> list[Row]:
    return rows.metric_rows(record.known_run_id, record.metrics[record.num_metrics_sent :])
