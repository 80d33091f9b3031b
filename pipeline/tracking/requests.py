"""Run by run through MLflow's client: to a server, or a database that we don't write directly."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar, cast

from mlflow import MlflowClient
from mlflow.entities import Experiment, Metric, Param, Run, RunTag, ViewType
from mlflow.store.entities.paged_list import PagedList
from mlflow.utils.credentials import (
    get_default_host_creds,  # pyright: ignore[reportUnknownVariableType]
)
from mlflow.utils.rest_utils import http_request  # pyright: ignore[reportUnknownVariableType]

from pipeline.tracking import rows
from pipeline.tracking.record import CURVES, Record, RunEnd, RunFilter, RunResult, curve

__all__ = ["Requests", "for_each"]

METRICS_PER_BATCH = 1_000
"""MLflow's limit."""

T = TypeVar("T")
R = TypeVar("R")


def for_each(act: Callable[[T], R], things: Iterable[T], num_at_once: int) -> list[R]:
    """Do something for each of several things, until it fails once, and return what came of it.

    Args:
        act: what to do.
        things: in their order.
        num_at_once: as many at most are on their way at once.
    """
    if num_at_once == 1:
        return [act(thing) for thing in things]
    with ThreadPoolExecutor(num_at_once) as pool:
        futures = [pool.submit(act, thing) for thing in things]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


class Requests:
    """What MLflow's client is asked for of many runs."""

    def __init__(self, client: MlflowClient, num_at_once: int) -> None:
        """Say whom to ask.

        Args:
            client: the store's.
            num_at_once: as many runs at most are asked for at once.
        """
        self._client = client
        self._num_at_once = num_at_once

    def _for_each(self, act: Callable[[T], R], things: Iterable[T]) -> list[R]:
        return for_each(act, things, self._num_at_once)

    def create(
        self, records: Sequence[Record], experiment: Experiment, *, may_be_there: bool
    ) -> None:
        """Make the runs of records, status RUNNING.

        Args:
            records: of runs that have no id yet.
            experiment: theirs.
            may_be_there: look for them first, since this may have been interrupted before.
        """

        def create(record: Record) -> None:
            wanted = RunFilter(experiment.experiment_id, tag=rows.RECORD_TAG, value=record.id)
            there = self.search(wanted) if may_be_there else []
            record.run_id = there[0].run_id if there else self._create(record, experiment)

        self._for_each(create, records)

    def _create(self, record: Record, experiment: Experiment) -> str:
        run = self._client.create_run(
            experiment.experiment_id,
            start_time=record.start_time,
            tags=rows.record_tags(record),
            run_name=record.name,
        )
        params = [Param(key, value) for key, value in record.params.items()]
        self._client.log_batch(run.info.run_id, params=params)  # what it is, even if it is killed
        return run.info.run_id

    def reopen(self, records: Sequence[Record]) -> None:
        """Let runs go on: RUNNING again, with the tags of the process that has them now."""
        self._for_each(self._reopen, records)

    def _reopen(self, record: Record) -> None:
        run_id = record.known_run_id
        self._client.update_run(run_id, status="RUNNING")
        self._client.log_batch(run_id, tags=_tags(rows.record_tags(record)))
        if "error" in self._client.get_run(run_id).data.tags:
            self._client.delete_tag(run_id, "error")

    def add_metrics(self, records: Sequence[Record]) -> None:
        """Send the metrics that the store doesn't have yet."""
        self._for_each(self._add_metrics, records)

    def _add_metrics(self, record: Record) -> None:
        while record.num_metrics_sent < len(record.metrics):
            first = record.num_metrics_sent
            batch = record.metrics[first : first + METRICS_PER_BATCH]
            metrics = [Metric(m.key, m.value, m.timestamp, m.step) for m in batch]
            self._client.log_batch(record.known_run_id, metrics=metrics)
            record.num_metrics_sent += len(batch)

    def end(self, records: Sequence[Record]) -> None:
        """Send all that the store doesn't know yet of runs that have ended."""
        self._for_each(self._end, records)

    def _end(self, record: Record) -> None:
        run_id = record.known_run_id
        params = [Param(key, value) for key, value in record.params.items()]
        self._client.log_batch(run_id, params=params, tags=_tags(record.tags))
        self._add_metrics(record)
        if record.dataset:
            self._client.log_inputs(run_id, datasets=[rows.dataset_input(record.dataset)])
        self._client.set_terminated(run_id, record.status, record.end_time)

    def note_ends(self, ends: Sequence[RunEnd]) -> None:
        """Set the status of runs that didn't end well, and say why; nothing else of them."""

        def note(end: RunEnd) -> None:
            self._client.set_tag(end.run_id, "error", end.why)
            self._client.set_terminated(end.run_id, end.status)

        self._for_each(note, ends)

    def delete(self, run_ids: Collection[str]) -> None:
        """Mark runs as deleted."""
        self._for_each(self._client.delete_run, run_ids)

    def search(self, wanted: RunFilter) -> list[RunResult]:
        """Return the runs that a filter finds, in the order in which they started, no curves."""
        if wanted.experiment_id is None:
            experiments = [
                experiment.experiment_id
                for experiment in self._client.search_experiments(view_type=_view(wanted))
            ]
        else:
            experiments = [wanted.experiment_id]
        found: list[Run] = []
        token: str | None = ""
        while token is not None:
            page: PagedList[Run] = self._client.search_runs(
                experiments,
                _filter_string(wanted),
                run_view_type=_view(wanted),
                order_by=["attributes.start_time ASC"],
                page_token=token or None,
            )
            found += page
            token = cast("str | None", page.token)
        return list(filter(wanted.has_status, map(_result, found)))

    def curves(self, run_ids: Sequence[str]) -> dict[str, dict[str, list[float]]]:
        """Return the curves of runs by their ids."""
        curves = self._for_each(self._curves, run_ids)
        return dict(zip(run_ids, curves, strict=True))

    def _curves(self, run_id: str) -> dict[str, list[float]]:
        return {key: self._history(run_id, key) for key in CURVES}

    def _history(self, run_id: str, key: str) -> list[float]:
        points = self._client.get_metric_history(run_id, key)
        return curve((point.step, point.value) for point in points)

    def now_s(self) -> float:
        """Return the seconds since 1970 by the server's clock; by ours, if it doesn't say."""
        uri: str = self._client.tracking_uri  # pyright: ignore[reportUnknownVariableType]
        if not uri.startswith("http"):
            return time.time()
        answer: Any = http_request(get_default_host_creds(uri), "/health", "GET")
        date: str | None = answer.headers.get("Date")
        return parsedate_to_datetime(date).timestamp() if date else time.time()

    def num_metrics(self, run_ids: Sequence[str]) -> dict[str, int]:
        """Return how many points there are of all of a run's metrics together, by run id."""
        numbers = self._for_each(self._num_metrics, run_ids)
        return dict(zip(run_ids, numbers, strict=True))

    def _num_metrics(self, run_id: str) -> int:
        keys: Iterable[str] = self._client.get_run(run_id).data.metrics
        return sum(len(self._client.get_metric_history(run_id, key)) for key in keys)


def _tags(tags: dict[str, str]) -> list[RunTag]:
    return [RunTag(key, value) for key, value in tags.items()]


def _view(wanted: RunFilter) -> int:
    return ViewType.ALL if wanted.with_deleted else ViewType.ACTIVE_ONLY


def _filter_string(wanted: RunFilter) -> str:
    """Return a filter in MLflow's language."""
    conditions: list[str] = []
    if wanted.id_prefix is not None:
        conditions.append(f"attributes.run_id LIKE '{wanted.id_prefix}%'")
    if wanted.name is not None:
        conditions.append(f"attributes.run_name = {_quoted(wanted.name)}")
    if wanted.status is not None:
        conditions.append(f"attributes.status = '{wanted.status}'")
    if wanted.tag is not None:
        is_it = "!= ''" if wanted.value is None else f"= '{wanted.value}'"
        conditions.append(f"tags.`{wanted.tag}` {is_it}")
    if wanted.other_tag is not None:
        conditions.append(f"tags.`{wanted.other_tag}` != ''")
    return " AND ".join(conditions)


def _quoted(text: str) -> str:
    """Return a text as MLflow's filters have it: in quotes that can't be escaped."""
    return f'"{text}"' if "'" in text else f"'{text}'"


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
        curves={},
        tags=dict(data.tags),
        started_ms=info.start_time,
    )
