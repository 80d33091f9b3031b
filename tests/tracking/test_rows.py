"""What is written directly is what MLflow's client writes, row by row."""

from __future__ import annotations

import math
from collections import Counter
from contextlib import ExitStack
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pytest
import requests
from mlflow import MlflowClient
from mlflow.store.db.utils import _get_latest_schema_revision
from sqlalchemy import Engine, create_engine, inspect, text

from pipeline.tracking import database
from pipeline.tracking.record import DatasetRecord, Metric, Record, RunEnd, RunFilter, RunResult
from pipeline.tracking.requests import Requests
from pipeline.tracking.store import Store
from tests import postgresql
from tests.mlflow_server import Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mlflow.entities import Run

DATASET = DatasetRecord("digits", "0123456789abcdef", "scikit-learn", 1242, 200, 355)

NUM_EPOCHS = 3

IDS_AND_TIMES = {
    "run_uuid",
    "input_uuid",
    "dataset_uuid",
    "source_id",
    "destination_id",
    "artifact_uri",
    "artifact_location",
    "deleted_time",
    "creation_time",
    "last_update_time",
}


def make_records() -> list[Record]:
    """Records of all kinds of ends, numbers and texts."""
    records = [
        Record(
            experiment_name,
            name,
            {"host": "here", "mlflow.user": "ada", "mlflow.source.name": "pipeline", "note": note},
            {"seed": str(number), "optimizer.lr": "0.5", "long": "p" * 7_000, "empty": ""},
            dataset,
            start_time=1_000 + number,
            id=record_id,
        )
        for number, (experiment_name, name, note, dataset, record_id) in enumerate(
            [
                ("mnist", "ends well", "short", DATASET, "a" * 32),
                ("mnist", "diverges", "ñandú\n'\"%", DATASET, "b" * 32),
                ("mnist", "without data", "", None, "c" * 32),
                ("mnist", "other data", "", replace(DATASET, digest="d" * 64), "d" * 32),
                ("other", "elsewhere", "", DATASET, "e" * 32),
            ]
        )
    ]
    for epoch in range(1, NUM_EPOCHS + 1):
        for record in records:
            log(record, epoch, {"train/loss": 1 / epoch, "test/accuracy": 0.5, "val/loss": epoch})
    first, diverging, *_ = records
    log(diverging, 4, {"train/loss": math.nan, "val/loss": math.inf, "train/accuracy": -math.inf})
    log(first, 2, {"best/accuracy": 0.5})
    log(first, 1, {"best/accuracy": 0.7})  # not the last one, though it comes last
    first.metrics.append(first.metrics[0])  # the same point twice
    return records


def log(record: Record, step: int, metrics: dict[str, float]) -> None:
    record.metrics += [Metric(key, value, step, 2_000 + step) for key, value in metrics.items()]


def finish(records: list[Record]) -> None:
    for record in records:
        record.finish("FINISHED")
        record.end_time = 5_000
    records[0].tags["note"] = "t" * 9_000  # MLflow shortens no tag of a run that it makes
    records[1].finish("FAILED")
    records[1].end_time = 6_000
    records[1].tags["error"] = "the loss is not finite"


class ThroughTheClient(Store):
    """A store that isn't written directly."""

    @cached_property
    def _runs(self) -> Requests:
        return Requests(self.client, 1)


def lead_through_a_life(store: Store) -> list[Record]:
    """Let runs start, be watched, be interrupted, go on and end, twice what may be repeated."""
    records = make_records()
    metrics = [record.metrics for record in records]
    for name in ("mnist", "other"):
        store.begin([record for record in records if record.experiment_name == name])
    for record in records:
        record.metrics = record.metrics[:2]
    store.send_metrics(records)
    store.send_metrics(records)
    stopped = records[0].known_run_id
    store.end([RunEnd(stopped, "KILLED", "interrupted")])
    store.begin(records[:1])
    for record, its_metrics in zip(records, metrics, strict=True):
        record.metrics = its_metrics
    finish(records)
    assert store.send(deepcopy(records)) == []
    assert store.send(records) == []
    late = Record("mnist", "late", {}, {"seed": "9"}, DATASET, id="f" * 32, start_time=3_000)
    late.finish("FINISHED")
    late.end_time = 7_000
    deleted = replace(late, name="deleted", id="0" * 31 + "1")
    assert store.send([late, deleted]) == []
    store.remove([deleted.known_run_id])
    return records


@dataclass(frozen=True)
class Written:
    """A store, and how it can be looked at."""

    store: Store
    engine: Engine

    @property
    def client(self) -> MlflowClient:
        return self.store.client

    def close(self) -> None:
        """Close all connections, before their server ends."""
        self.engine.dispose()
        self.client._tracking_client.store._dispose_engine()
        if isinstance(self.store._runs, database.Database):
            self.store._runs._engine.dispose()

    def rows(self, table: str) -> Counter[tuple[Any, ...]]:
        """All rows of a table, less ids and times; ids that tie rows together as names."""
        with self.engine.connect() as connection:
            runs = connection.execute(text("SELECT run_uuid, name FROM runs"))
            names = {row.run_uuid: row.name for row in runs}
            found = connection.execute(text(f"SELECT * FROM {table}")).mappings().all()
        return Counter(
            tuple(
                (key, names.get(value, "…") if key in IDS_AND_TIMES else value)
                for key, value in row.items()
            )
            for row in found
        )


def open_written(kind: type[Store], uri: str, root: Path) -> Written:
    store = kind(uri, root)
    lead_through_a_life(store)
    return Written(store, create_engine(uri))


DATABASES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)]


@pytest.fixture(scope="module", params=DATABASES)
def both(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Written, Written]]:
    """The same records, written directly and through MLflow's client."""
    with ExitStack() as open_stores:
        server = None
        if request.param == "postgresql":
            server = open_stores.enter_context(postgresql.running_server())
        stores: list[Written] = []
        for kind in (Store, ThroughTheClient):
            root = tmp_path_factory.mktemp(kind.__name__)
            if server:
                uri = postgresql.make_database(server, kind.__name__.lower())
            else:
                uri = f"sqlite:///{root / 'mlflow.db'}"
            stores.append(open_written(kind, uri, root))
            open_stores.callback(stores[-1].close)
        yield stores[0], stores[1]


@pytest.fixture
def direct(both: tuple[Written, Written]) -> Written:
    return both[0]


def test_the_installed_mlflow_is_one_that_we_know():
    assert _get_latest_schema_revision() in database.KNOWN_REVISIONS


def test_one_store_is_written_directly_and_the_other_is_not(both: tuple[Written, Written]):
    direct, through_client = both
    assert isinstance(direct.store._runs, database.Database)
    assert isinstance(through_client.store._runs, Requests)


def test_every_row_of_every_table_is_the_same(both: tuple[Written, Written]):
    direct, through_client = both
    tables = inspect(direct.engine).get_table_names()
    filled = [table for table in tables if direct.rows(table)]
    assert {"runs", "tags", "params", "metrics", "latest_metrics", "inputs"} < set(filled)
    assert {"datasets", "input_tags", "experiments"} < set(filled)
    for table in tables:
        assert direct.rows(table) == through_client.rows(table), table


def as_shown(run: Run) -> dict[str, Any]:
    """A run as MLflow shows it, less ids."""
    shown = run.to_dictionary()
    for key in ("run_id", "run_uuid", "artifact_uri"):
        shown["info"].pop(key, None)
    return shown


def ids(written: Written) -> dict[str, str]:
    experiments = [it.experiment_id for it in written.client.search_experiments()]
    runs = written.client.search_runs(experiments)
    return {run.info.run_name or "": run.info.run_id for run in runs}


def test_a_run_is_read_alike(both: tuple[Written, Written]):
    direct, through_client = (
        {name: as_shown(it.client.get_run(run_id)) for name, run_id in ids(it).items()}
        for it in both
    )
    assert len(direct) == 6
    assert str(direct) == str(through_client)  # nan is not nan


def test_a_history_is_read_alike(both: tuple[Written, Written]):
    direct, through_client = (
        {
            (name, key): [
                (point.step, point.timestamp, str(point.value))
                for point in it.client.get_metric_history(run_id, key)
            ]
            for name, run_id in ids(it).items()
            for key in it.client.get_run(run_id).data.metrics
        }
        for it in both
    )
    assert len(direct) > 15
    assert direct == through_client


@pytest.mark.parametrize(
    ("wanted", "order"),
    [
        ("params.seed = '1'", []),
        ("metrics.`test/accuracy` > 0.4", ["metrics.`train/loss` DESC"]),
        ("tags.note = ''", ["params.seed DESC"]),
        ("attributes.status = 'FAILED'", []),
        ("dataset.name = 'digits'", ["attributes.start_time ASC"]),
        ("", ["attributes.end_time DESC"]),
    ],
)
def test_a_search_finds_the_same(both: tuple[Written, Written], wanted: str, order: list[str]):
    direct, through_client = (
        [run.info.run_name for run in it.client.search_runs(["1", "2"], wanted, order_by=order)]
        for it in both
    )
    assert direct
    assert direct == through_client


def comparable(run: RunResult) -> RunResult:
    """A result without its id, and with numbers that equal themselves."""
    return replace(
        run,
        run_id="",
        metrics={key: str(value) for key, value in run.metrics.items()},
        curves={key: [str(value) for value in curve] for key, curve in run.curves.items()},
    )


def test_our_own_questions_are_answered_alike(both: tuple[Written, Written]):
    answers: list[list[tuple[RunResult, int]]] = []
    for written in both:
        store = written.store
        found = store.finished("mnist") + store.finished("other")
        found += store.find(RunFilter(status="RUNNING"))
        found += store._runs.search(RunFilter(tag="note", value='ñandú\n"%'))
        found += store._runs.search(RunFilter(tag="error", with_deleted=True))
        numbers = store.num_metrics([run.run_id for run in found])
        assert len(found) == 6
        answers.append([(comparable(run), numbers[run.run_id]) for run in store.with_curves(found)])
    assert answers[0] == answers[1]


def test_a_result_with_its_curves_is_the_same(both: tuple[Written, Written]):
    direct, through_client = (comparable(it.store.result(ids(it)["diverges"])) for it in both)
    assert direct.metrics["train/loss"] == "nan"
    assert direct == through_client


# As the pages of MLflow see it.


@pytest.fixture(scope="module")
def served(
    both: tuple[Written, Written], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Server, Server]]:
    """A server for each store."""
    with ExitStack() as running:
        servers: list[Server] = []
        for written in both:
            server = Server(tmp_path_factory.mktemp("served"), written.store.uri)
            servers.append(running.enter_context(server))
        yield servers[0], servers[1]


def ask(server: Server, path: str, body: dict[str, Any]) -> Any:
    answer = requests.post(f"{server.uri}/{path}", json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()


def without_ids(answer: Any) -> Any:
    """An answer's runs, each less what names it and where its files are."""
    if isinstance(answer, dict):
        hidden = {"runId", "run_id", "run_uuid", "runUuid", "artifact_uri", "artifactUri"}
        return {key: without_ids(value) for key, value in answer.items() if key not in hidden}
    if isinstance(answer, list):
        shown = [without_ids(entry) for entry in answer]
        has_keys = bool(shown) and "key" in shown[0]  # whose order isn't said
        return (
            sorted(shown, key=lambda entry: (entry["key"], entry.get("step")))
            if has_keys
            else shown
        )
    return answer


RUN_PAGE = """
query GetRun($data: MlflowGetRunInput!) { mlflowGetRun(input: $data) { apiError { message }
    run { info { runName status startTime endTime userId lifecycleStage }
        data { metrics { key value step timestamp } params { key value } tags { key value } }
        inputs { datasetInputs { dataset { name digest source profile } tags { key value } } } } } }
"""


def test_the_pages_of_mlflow_show_the_same(
    both: tuple[Written, Written], served: tuple[Server, Server]
):
    shown: list[Any] = []
    for written, server in zip(both, served, strict=True):
        wanted = {"experiment_ids": ["1", "2"], "order_by": ["attributes.start_time DESC"]}
        listed = ask(server, "ajax-api/2.0/mlflow/runs/search", wanted)
        assert len(listed["runs"]) == 6
        pages, curves = [], []
        for name, run_id in sorted(ids(written).items()):
            variables = {"data": {"runId": run_id}}
            page = ask(server, "graphql", {"query": RUN_PAGE, "variables": variables})
            assert page["data"]["mlflowGetRun"]["run"]["info"]["runName"] == name
            pages.append(page)
            curve = requests.get(
                f"{server.uri}/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval",
                {"run_ids": run_id, "metric_key": "val/loss", "max_results": "320"},
                timeout=60,
            )
            curves.append(curve.json())
        assert len(curves[0]["metrics"]) == NUM_EPOCHS + 1  # of the one that diverges
        shown.append(without_ids([listed, pages, curves]))
    assert shown[0] == shown[1]
