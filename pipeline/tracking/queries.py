"""What is asked of MLflow's tables: a handful of queries, however many runs there are."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence

from sqlalchemy import ColumnElement, Connection, Select, Table, extract, func, select

from pipeline.tracking.record import CURVES, RunFilter, RunResult, curve
from pipeline.tracking.tables import INPUTS, LATEST_METRICS, METRICS, PARAMS, RUNS, TAGS

__all__ = ["curves", "now_s", "num_metrics", "search", "stages", "trained_on"]

MAX_IDS = 500
"""In one query: databases limit the values that a query may name."""


def search(connection: Connection, wanted: RunFilter) -> list[RunResult]:
    """Return the runs that a filter finds, in the order in which they started, no curves."""
    ids = select(RUNS.c.run_uuid).where(*_conditions(wanted))
    columns = (RUNS.c.run_uuid, RUNS.c.name, RUNS.c.status, RUNS.c.start_time, RUNS.c.end_time)
    found = connection.execute(
        select(*columns).where(*_conditions(wanted)).order_by(RUNS.c.start_time, RUNS.c.run_uuid)
    ).all()
    if not found:
        return []
    tags, params = _values(connection, TAGS, ids), _values(connection, PARAMS, ids)
    metrics = _latest(connection, ids)
    return [
        RunResult(
            run_id=run_id,
            name=name or "",
            status=status,
            params=params[run_id],
            metrics=metrics[run_id],
            seconds=(ended - started) / 1000 if ended else None,
            error=tags[run_id].get("error"),
            curves={},
            tags=tags[run_id],
            started_ms=started,
        )
        for run_id, name, status, started, ended in found
    ]


def _conditions(wanted: RunFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.experiment_id is not None:
        conditions.append(RUNS.c.experiment_id == int(wanted.experiment_id))
    if wanted.id_prefix is not None:
        conditions.append(RUNS.c.run_uuid.startswith(wanted.id_prefix, autoescape=True))
    if wanted.name is not None:
        conditions.append(RUNS.c.name == wanted.name)
    if wanted.status is not None:
        conditions.append(RUNS.c.status == wanted.status)
    if not wanted.with_deleted:
        conditions.append(RUNS.c.lifecycle_stage == "active")
    if wanted.tag is not None:
        tagged = select(TAGS.c.run_uuid).where(TAGS.c.key == wanted.tag)
        if wanted.value is not None:
            tagged = tagged.where(TAGS.c.value == wanted.value)
        conditions.append(RUNS.c.run_uuid.in_(tagged))
    if wanted.other_tag is not None:
        also = select(TAGS.c.run_uuid).where(TAGS.c.key == wanted.other_tag)
        conditions.append(RUNS.c.run_uuid.in_(also))
    return conditions


def _values(
    connection: Connection, table: Table, ids: Select[tuple[str]]
) -> defaultdict[str, dict[str, str]]:
    """Return the tags or params of runs by their ids.

    A text is kept once, however many runs have it, which saves three quarters of the memory.
    """
    columns = (table.c.run_uuid, table.c.key, table.c.value)
    once: dict[str, str] = {}
    values: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for run_id, key, value in connection.execute(select(*columns).where(table.c.run_uuid.in_(ids))):
        values[run_id][once.setdefault(key, key)] = once.setdefault(value, value)
    return values


def _latest(connection: Connection, ids: Select[tuple[str]]) -> defaultdict[str, dict[str, float]]:
    """Return the last values of the metrics of runs by their ids."""
    table = LATEST_METRICS
    columns = (table.c.run_uuid, table.c.key, table.c.value, table.c.is_nan)
    once: dict[str, str] = {}
    metrics: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for run_id, key, value, is_nan in connection.execute(
        select(*columns).where(table.c.run_uuid.in_(ids))
    ):
        metrics[run_id][once.setdefault(key, key)] = math.nan if is_nan else value
    return metrics


def curves(connection: Connection, run_ids: Sequence[str]) -> dict[str, dict[str, list[float]]]:
    """Return the curves of runs by their ids."""
    columns = METRICS.c.run_uuid, METRICS.c.key, METRICS.c.step, METRICS.c.value, METRICS.c.is_nan
    found = {run_id: {key: list[tuple[int, float]]() for key in CURVES} for run_id in run_ids}
    for ids in _chunks(run_ids):
        points = connection.execute(
            select(*columns)
            .where(METRICS.c.run_uuid.in_(ids), METRICS.c.key.in_(CURVES))
            .order_by(METRICS.c.timestamp)
        )
        for run_id, key, step, value, is_nan in points:
            found[run_id][key].append((step, math.nan if is_nan else value))
    return {
        run_id: {key: curve(points) for key, points in of_run.items()}
        for run_id, of_run in found.items()
    }


def num_metrics(connection: Connection, run_ids: Sequence[str]) -> dict[str, int]:
    """Return how many points there are of all of a run's metrics together, by run id."""
    numbers = dict.fromkeys(run_ids, 0)
    for ids in _chunks(run_ids):
        counted = select(METRICS.c.run_uuid, func.count()).where(METRICS.c.run_uuid.in_(ids))
        for run_id, number in connection.execute(counted.group_by(METRICS.c.run_uuid)):
            numbers[run_id] = number
    return numbers


def stages(connection: Connection, run_ids: Sequence[str]) -> dict[str, tuple[str, int]]:
    """Return the lifecycle stage and the experiment of those runs that there are, by id."""
    columns = (RUNS.c.run_uuid, RUNS.c.lifecycle_stage, RUNS.c.experiment_id)
    return {
        run_id: (stage, experiment)
        for ids in _chunks(run_ids)
        for run_id, stage, experiment in connection.execute(
            select(*columns).where(RUNS.c.run_uuid.in_(ids))
        )
    }


def trained_on(connection: Connection, dataset: str, run_ids: Sequence[str]) -> set[str]:
    """Return those of the runs that are known to be trained on a dataset."""
    runs = select(INPUTS.c.destination_id).where(
        INPUTS.c.source_type == "DATASET",
        INPUTS.c.source_id == dataset,
        INPUTS.c.destination_type == "RUN",
    )
    return {
        run_id
        for ids in _chunks(run_ids)
        for run_id in connection.execute(runs.where(INPUTS.c.destination_id.in_(ids))).scalars()
    }


def now_s(connection: Connection) -> float:
    """Return the seconds since 1970 by the database's clock."""
    return float(connection.execute(select(extract("epoch", func.now()))).scalar_one())


def _chunks(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for first in range(0, len(ids), MAX_IDS):
        yield ids[first : first + MAX_IDS]
