"""The rows that MLflow's tables hold of a run, checked and shortened as MLflow's client does."""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, cast

from mlflow.entities import Dataset, DatasetInput, Experiment, InputTag, SourceType
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.utils.uri import (
    append_to_uri_path,  # pyright: ignore[reportUnknownVariableType]
)
from mlflow.utils.validation import (  # the tables themselves check nothing
    MAX_PARAM_VAL_LENGTH,
    MAX_TAG_VAL_LENGTH,
    _validate_dataset_inputs,  # pyright: ignore[reportPrivateUsage]
    _validate_metric,  # pyright: ignore[reportPrivateUsage, reportUnknownVariableType]
    _validate_param,  # pyright: ignore[reportPrivateUsage, reportUnknownVariableType]
    _validate_tag,  # pyright: ignore[reportPrivateUsage, reportUnknownVariableType]
)

from pipeline.tracking.record import DatasetRecord, Metric, Record

__all__ = [
    "RECORD_TAG",
    "Row",
    "artifact_uri",
    "dataset_input",
    "dataset_row",
    "first_tags",
    "input_row",
    "latest_metric_rows",
    "metric_rows",
    "param_rows",
    "record_tags",
    "run_row",
    "tag_rows",
]

Row = dict[str, Any]
"""The values of a row by their columns."""

RECORD_TAG = "record"
"""Tag that ties a run to its record, so that it isn't made twice if sending was interrupted."""

RUN_NAME_TAG = "mlflow.runName"

INFINITE = 1.7976931348623157e308
"""What MLflow writes for infinity, which SQL has no number for."""

NUM_KEYS = 2**12
"""So many keys are remembered as checked: the runs of a sweep have the same ones."""


def record_tags(record: Record) -> dict[str, str]:
    """Return the tags of a run, its record's among them."""
    return {**record.tags, RECORD_TAG: record.id}


def first_tags(record: Record) -> dict[str, str]:
    """Return the tags of a run that is made, its name among them.

    Raises:
        MlflowException: a tag gives it another name.
    """
    if record.tags.get(RUN_NAME_TAG, record.name) != record.name:
        raise MlflowException(
            f"the tag {RUN_NAME_TAG} is not the run's name, {record.name}", INVALID_PARAMETER_VALUE
        )
    return {**record_tags(record), RUN_NAME_TAG: record.name}


def artifact_uri(experiment: Experiment, run_id: str) -> str:
    """Return where MLflow keeps the files of a run."""
    return cast("str", append_to_uri_path(experiment.artifact_location, run_id, "artifacts"))


def run_row(record: Record, experiment: Experiment) -> Row:
    """Return a run's own row, as of a run that has just started, under the record's id."""
    return {
        "run_uuid": record.id,
        "name": record.name,
        "source_type": SourceType.to_string(SourceType.UNKNOWN),
        "source_name": "",
        "entry_point_name": "",
        "user_id": record.tags.get("mlflow.user", "unknown"),
        "status": "RUNNING",
        "start_time": record.start_time,
        "end_time": None,
        "deleted_time": None,
        "source_version": "",
        "lifecycle_stage": "active",
        "artifact_uri": artifact_uri(experiment, record.id),
        "experiment_id": int(experiment.experiment_id),
    }


def tag_rows(run_id: str, tags: dict[str, str]) -> list[Row]:
    """Return the rows of a run's tags.

    Raises:
        MlflowException: MLflow doesn't take one of them.
    """
    rows: list[Row] = []
    for key, value in tags.items():
        _check_tag_key(key)
        if len(value) > MAX_TAG_VAL_LENGTH:
            value = _validate_tag(key, value).value
        rows.append({"run_uuid": run_id, "key": key, "value": value})
    return rows


def param_rows(run_id: str, params: dict[str, str]) -> list[Row]:
    """Return the rows of a run's params.

    Raises:
        MlflowException: MLflow doesn't take one of them.
    """
    rows: list[Row] = []
    for key, value in params.items():
        _check_param_key(key)
        if len(value) > MAX_PARAM_VAL_LENGTH:
            value = _validate_param(key, value).value
        rows.append({"run_uuid": run_id, "key": key, "value": value})
    return rows


@lru_cache(NUM_KEYS)
def _check_tag_key(key: str) -> None:
    _validate_tag(key, "")


@lru_cache(NUM_KEYS)
def _check_param_key(key: str) -> None:
    _validate_param(key, "")


@lru_cache(NUM_KEYS)
def _check_metric_key(key: str) -> None:
    _validate_metric(key, value=0.0, timestamp=0, step=0)


def metric_rows(run_id: str, metrics: Iterable[Metric]) -> list[Row]:
    """Return the rows of points of a run's metrics.

    Raises:
        MlflowException: MLflow doesn't take one of them.
    """
    rows: list[Row] = []
    for metric in metrics:
        _check_metric_key(metric.key)
        is_nan = math.isnan(metric.value)
        rows.append(
            {
                "run_uuid": run_id,
                "key": metric.key,
                "value": 0.0 if is_nan else max(-INFINITE, min(INFINITE, metric.value)),
                "timestamp": metric.timestamp,
                "step": metric.step,
                "is_nan": is_nan,
            }
        )
    return rows


def latest_metric_rows(rows: Iterable[Row]) -> list[Row]:
    """Return the last of each metric's rows, by step, then time, then value, as MLflow does."""
    latest: dict[tuple[str, str], Row] = {}
    for row in rows:
        known = latest.setdefault((row["run_uuid"], row["key"]), row)
        if _order(row) > _order(known):
            latest[row["run_uuid"], row["key"]] = row
    return list(latest.values())


def _order(row: Row) -> tuple[int, int, float]:
    return row["step"], row["timestamp"], row["value"]


def dataset_input(dataset: DatasetRecord) -> DatasetInput:
    """Return what a run was trained on in MLflow's words.

    Raises:
        MlflowException: MLflow doesn't take it.
    """
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
    made = DatasetInput(entity, tags=[InputTag("mlflow.data.context", "training")])
    _validate_dataset_inputs([made])
    return made


def dataset_row(dataset: Dataset, experiment_id: int) -> Row:
    """Return the row of an experiment's dataset, under a new id."""
    return {
        "dataset_uuid": uuid.uuid4().hex,
        "experiment_id": experiment_id,
        "name": dataset.name,
        "digest": dataset.digest,
        "dataset_source_type": dataset.source_type,
        "dataset_source": dataset.source,
        "dataset_schema": dataset.schema,
        "dataset_profile": dataset.profile,
    }


def input_row(input_id: str, dataset_id: str, run_id: str) -> Row:
    """Return the row that says that a run was trained on a dataset."""
    return {
        "input_uuid": input_id,
        "source_type": "DATASET",
        "source_id": dataset_id,
        "destination_type": "RUN",
        "destination_id": run_id,
        "step": 0,
    }
