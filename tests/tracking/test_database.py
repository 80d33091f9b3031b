"""What a database that is written directly refuses, and how much it is asked."""

from __future__ import annotations

import sqlite3
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Engine, event

from pipeline.tracking import database
from pipeline.tracking.record import DatasetRecord, Record, new_ids
from pipeline.tracking.run import start_runs
from pipeline.tracking.store import Store, is_refusal
from tests import command

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

TOO_LONG = DatasetRecord("d" * 501, "0123", "scikit-learn", 1242, 200, 355)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    root = tmp_path_factory.mktemp("store")
    return Store(f"sqlite:///{root / 'mlflow.db'}", root)


def begin(store: Store, count: int, **tags: str) -> list[Record]:
    """Runs of one epoch that have just started."""
    records = [Record("mnist", "run", dict(tags), id=record_id) for record_id in new_ids(count)]
    store.begin(records)
    for record in records:
        record.log(1, {"train/loss": 0.5})
    return records


@pytest.mark.parametrize(
    "damage",
    [
        lambda record: record.tags.update({"a" * 251: "too long a key"}),
        lambda record: record.tags.update({"mlflow.runName": "another name"}) or unmake(record),
        lambda record: record.log(1, {"no?name": 0.5}),
        lambda record: setattr(record, "run_id", "0" * 32),
        lambda record: setattr(record, "dataset", TOO_LONG),
    ],
    ids=["tag", "name", "metric", "run", "dataset"],
)
def test_what_mlflow_refuses_is_refused_and_the_rest_is_taken(store: Store, damage):
    good, bad = begin(store, 2)
    for record in (good, bad):
        record.finish("FINISHED")
    damage(bad)
    ((refused, error),) = store.send([good, bad])
    assert refused is bad
    assert is_refusal(error)
    assert store.result(good.known_run_id).status == "FINISHED"
    assert store.result(good.known_run_id).metrics == {"train/loss": 0.5}


def unmake(record: Record) -> None:
    """Let a record be one of which the store has no run yet."""
    record.run_id, record.id = None, new_ids(1)[0]


def test_a_run_that_was_deleted_is_not_written_to(store: Store):
    (record,) = begin(store, 1)
    store.remove([record.known_run_id])
    record.finish("FINISHED")
    ((refused, error),) = store.send([record])
    assert refused is record
    assert "deleted" in str(error)
    assert store.result(record.known_run_id).metrics == {}


def test_metrics_that_the_store_had_beyond_a_checkpoint_are_not_sent_once_more(store: Store):
    (record,) = begin(store, 1)
    record.log(2, {"train/loss": 0.4})
    record.log(3, {"train/loss": 0.3})
    store.send_metrics([record])
    record.metrics.clear()  # it goes on from the start
    for epoch in range(1, 6):
        time.sleep(0.002)  # the time is part of what makes a point another one
        record.log(epoch, {"train/loss": 0.6 - epoch / 10})
        store.send_metrics([record])
    run = store.client.get_run(record.known_run_id)
    assert list(command.history(store.client, run, "train/loss")) == [1, 2, 3, 4, 5]


@contextmanager
def statements() -> Generator[list[str]]:
    """What databases are told meanwhile."""
    told: list[str] = []

    def hear(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        told.append(statement)

    with told_to(hear):
        yield told


@contextmanager
def told_to(hear: Callable[..., None]) -> Generator[None]:
    """Let a function hear meanwhile what databases are told."""
    event.listen(Engine, "before_cursor_execute", hear)
    yield
    event.remove(Engine, "before_cursor_execute", hear)


def test_many_runs_are_asked_for_as_often_as_few(store: Store):
    numbers: list[int] = []
    for parent, count in (("few", 2), ("many", 200)):
        (sweep,) = begin(store, 1)
        records = begin(store, count, **{"mlflow.parentRunId": sweep.known_run_id})
        with statements() as told:
            store.send_metrics(records)
            for record in records:
                record.finish("FINISHED")
            store.send(records)
            children = store.with_curves(store.children(sweep.known_run_id))
        assert [child.run_id for child in children] == [record.run_id for record in records]
        assert all(child.curves["train/loss"] == [0.5] for child in children), parent
        numbers.append(len(told))
    few, many = numbers
    assert many == few


def test_what_runs_have_in_common_is_kept_in_memory_once(store: Store):
    (sweep,) = begin(store, 1)
    begin(store, 2, **{"mlflow.parentRunId": sweep.known_run_id, "text": "a long text " * 10})
    first, second = store.children(sweep.known_run_id)
    assert first.tags["text"] is second.tags["text"]


def test_mlflow_finds_the_best_runs_without_comparing_each_with_every_other(tmp_path: Path):
    """By how its own statement is carried out: 100,000 runs would take a quarter of an hour."""
    store = Store(f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path)
    records = begin(store, 500)
    for record in records:
        record.finish("FINISHED")
    store.send(records)
    plans: list[str] = []

    def hear(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if "latest_metrics" in statement and "ORDER BY" in statement:
            found = sqlite3.connect(tmp_path / "mlflow.db").execute(
                f"EXPLAIN QUERY PLAN {statement}", values
            )
            plans.extend(str(detail) for *_, detail in found)

    with told_to(hear):
        store.client.search_runs(["1"], order_by=["metrics.`train/loss`"], max_results=1)
    joined = [plan for plan in plans if "LEFT-JOIN" in plan or "LEFT JOIN" in plan]
    assert joined
    assert all("INDEX" in plan for plan in joined), plans


# Tables that we don't know.


def test_tables_of_another_mlflow_are_left_to_its_client(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(database, "KNOWN_REVISIONS", frozenset[str]())
    store = Store(f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path)
    (run,) = start_runs(store, [Record("mnist", "run", {})], offline_is_fine=False)
    (run.artifacts / "note.txt").write_text("kept")
    run.close(None)
    assert "Runs are sent one by one" in caplog.text
    (found,) = command.runs(tmp_path)
    assert found.info.status == "FINISHED"
    assert (command.artifacts(found) / "note.txt").read_text() == "kept"
    assert list((tmp_path / "mlruns" / "spool").iterdir()) == []
