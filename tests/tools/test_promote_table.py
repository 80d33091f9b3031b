"""A network trained on a table, served by MLflow itself: columns by name, classes by name."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pipeline
from pipeline.data.layout import Table
from pipeline.data.own.rows import read_rows
from tests import command, trips
from tests.command import Done
from tests.tools.service import Service, curl_of, serving

ROW = {"age": 30, "city": "Paris", "member": True, "zip": "80331", "it's a name": 0.5}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("promote_table")
    path = trips.write(root / "trips.csv")
    data = (*trips.OVERRIDES, f"data.path={path}", f"root={root}")
    done = command.run(root, "-m", *data, "model.output=softmax,sigmoid", "loss=mse")
    assert done.code == 0, done.stderr
    return root


@pytest.fixture(scope="module")
def promoted(root: Path) -> Done:
    return promote(root, "last", "--name", "trips")


def promote(root: Path, *arguments: str) -> Done:
    return command.run(root, *arguments, f"root={root}", module="pipeline.promote")


@pytest.fixture(scope="module")
def service(root: Path, promoted: Done) -> Generator[Service]:
    assert promoted.code == 0, promoted.stderr
    with serving(root, "trips") as started:
        yield started


def test_real_rows_get_what_the_run_says_of_them(root: Path, service: Service):
    """Numbers, categories, true and false, postal codes and missing values mean the same."""
    network = pipeline.network("last", root=root)
    assert isinstance(network.layout, Table)
    features, _ = read_rows(root / "trips.csv", network.layout, fills=True)
    assert np.isnan(features).any()
    expected = network.outputs(features)
    rows = [as_typed(row) for row in trips.read(root / "trips.csv")]
    answer = service.predict_records(*rows)
    assert answer.status == 200, answer.reason
    told = [[row[name] for name in network.classes] for row in answer.body["predictions"]]
    np.testing.assert_allclose(told, expected, atol=1e-6)


def as_typed(row: dict[str, str]) -> dict[str, Any]:
    """A row as JSON has it; the class stays, which the model must leave alone."""
    return {
        **row,
        "age": float(row["age"]) if row["age"] else None,
        "city": row["city"] or None,
        "member": row["member"] == "True",
        "it's a name": float(row["it's a name"]),
    }


def test_the_request_that_is_printed_works_as_it_is_typed(promoted: Done, service: Service):
    answer = service.ask(curl_of(promoted))
    assert answer.status == 200
    (row,) = answer.body["predictions"]
    assert set(row) == {"happy", "sad"}


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"member": "True"}, {}),
        ({"member": "false"}, {"member": False}),
        ({"zip": 80331}, {}),
        ({"zip": 1067}, {"zip": "01067"}),
        ({"age": 30.0}, {}),
        ({"age": None}, {"age": float("nan")}),
        ({"other": "column"}, {}),
    ],
    ids=["True", "false", "whole", "without its zero", "float", "null", "extra"],
)
def test_what_means_the_same_is_answered_alike(
    service: Service, change: dict[str, Any], same: dict[str, Any]
):
    answers = [service.predict_records(ROW | it) for it in (change, same)]
    assert [answer.status for answer in answers] == [200, 200]
    assert answers[0].body == answers[1].body


def test_a_column_that_is_left_out_is_a_missing_value(service: Service):
    without = {name: value for name, value in ROW.items() if name != "city"}
    assert (
        service.predict_records(without).body == service.predict_records(ROW | {"city": None}).body
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"city": "Berlin"}, "city has 'Berlin' in example 1, which the network doesn't know"),
        ({"member": "yes"}, "member has 'yes' in example 1"),
        ({"age": "old"}, "age"),
        ({"age": float("inf")}, "age has inf in example 1: must be a finite number"),
        ({"age": [1]}, "age"),
    ],
    ids=["category", "boolean", "text", "infinite", "list"],
)
def test_what_the_network_does_not_know_is_refused_with_a_reason(
    service: Service, change: dict[str, Any], reason: str
):
    answer = service.predict_records(ROW, ROW | change)
    assert 400 <= answer.status < 500
    assert reason in answer.reason
    assert service.predict_records(ROW).status == 200


def test_no_row_and_too_many_are_refused(service: Service):
    for rows in ([], [ROW] * 10_001):
        answer = service.predict_records(*rows)
        assert answer.status == 400
        assert "1 to 10,000 examples" in answer.reason


def test_without_missing_values_in_training_none_may_be_missing(tmp_path: Path):
    done = command.run(
        tmp_path, "data=iris", "trainer=cpu", "trainer.max_epochs=2", f"root={tmp_path}"
    )
    assert done.code == 0, done.stderr
    (run,) = command.runs(tmp_path)
    promoted = promote(tmp_path, run.info.run_id)
    assert promoted.code == 0, promoted.stderr
    row = json.loads(curl_of(promoted))["dataframe_records"][0]
    assert row["sepal length (cm)"] == 5.1
    with serving(tmp_path, "iris-classifier") as service:
        assert service.predict_records(row).status == 200
        refused = service.predict_records(row | {"sepal width (cm)": None})
        assert refused.status == 400
        assert "sepal width (cm) has no value in example 0" in refused.reason
        lacking = service.predict_records({"sepal width (cm)": 1})
        assert lacking.status == 400
        assert "missing inputs ['sepal length (cm)'" in lacking.reason


def test_what_sigmoid_outputs_are_is_said(root: Path):
    sigmoid = next(
        run for run in command.children(root) if run.data.params["model.output"] == "sigmoid"
    )
    done = promote(root, sigmoid.info.run_id, "--alias", "other")
    assert "each for itself: they don't sum to 1 (happy, sad)" in done.stdout


def test_without_its_data_a_model_is_promoted_and_the_request_is_described(root: Path):
    file = root / "trips.csv"
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    try:
        done = promote(root, "last", "--alias", "late")
    finally:
        file.write_bytes(content)
    assert (done.code, done.stderr) == (0, "")
    assert '{"dataframe_records": [{"COLUMN": VALUE, …}, …]}' in done.stdout
