"""`python -m pipeline.predict` on rows of a table and on numbers."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.csv as arrow_csv
import pyarrow.parquet as parquet
import pytest

import pipeline
from pipeline.data.layout import Table
from pipeline.data.own.rows import read_rows
from tests import command, trips
from tests.command import Done


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("table")
    path = trips.write(root / "trips.csv")
    done = command.run(
        root, "-m", *trips.OVERRIDES, f"data.path={path}", "loss=nll,ce", f"root={root}"
    )
    assert done.code == 0, done.stderr
    return root


def predict(root: Path, *arguments: str | Path) -> Done:
    return command.run(root, *map(str, arguments), f"root={root}", module="pipeline.predict")


def head(root: Path, num_rows: int) -> Path:
    lines = (root / "trips.csv").read_text("utf-8").splitlines(keepends=True)
    path = root / f"head{num_rows}.csv"
    path.write_text("".join(lines[: num_rows + 1]), "utf-8")
    return path


def test_few_rows_are_told_line_by_line(root: Path):
    done = predict(root, "last", head(root, 3))
    assert (done.code, done.stderr) == (0, "")
    *lines, right, source = done.stdout.splitlines()
    assert [line.split(": ")[0] for line in lines] == ["line 2", "line 3", "line 4"]
    assert all("%), then " in line for line in lines)
    assert right.startswith("Right: ")
    assert right.split(" of ")[1].startswith("3 rows")
    assert source.endswith("trained on trips.csv")


def test_classes_that_the_network_does_not_know_are_told(root: Path, tmp_path: Path):
    path = tmp_path / "other.csv"
    path.write_text(head(root, 2).read_text("utf-8").replace("happy", "odd").replace("sad", "odd"))
    done = predict(root, path)
    told = "Right: 0 of 2 rows (0.0%); 2 have a class that it doesn't know, such as 'odd'"
    assert told in done.stdout.splitlines()


def test_of_many_rows_the_classes_are_counted_and_written_to_a_file(root: Path, tmp_path: Path):
    done = predict(root, root / "trips.csv")
    assert "Row by row: --output FILE.csv keeps all." in done.stdout
    output = tmp_path / "predictions.csv"
    done = predict(root, root / "trips.csv", "--output", output)
    assert done.code == 0, done.stderr
    rows = trips.read(output)
    given = trips.read(root / "trips.csv")
    assert [{name: row[name] for name in trips.HEADER} for row in rows] == given
    for name, count in Counter(row["predicted"] for row in rows).items():
        assert f"{name}: {count} rows ({count / 400:.1%})" in done.stdout
    num_right = sum(row["predicted"] == row["mood"] for row in rows)
    assert num_right > 320
    assert f"Right: {num_right} of 400 rows ({num_right / 400:.1%})" in done.stdout
    network = pipeline.network("last", root=root)
    assert isinstance(network.layout, Table)
    features, _ = read_rows(root / "trips.csv", network.layout, fills=True)
    told = [[float(row[f"output_{name}"]) for name in network.classes] for row in rows]
    assert np.array(told) == pytest.approx(network.outputs(features), abs=1e-6)


def test_predictions_can_be_predicted_again(root: Path, tmp_path: Path):
    once, twice = tmp_path / "once.csv", tmp_path / "twice.csv"
    predict(root, root / "trips.csv", "--output", once)
    predict(root, once, "--output", twice)
    assert once.read_text("utf-8") == twice.read_text("utf-8")


def test_machines_get_names_of_classes_and_parquet_is_read_alike(root: Path):
    path = head(root, 5)
    parquet.write_table(arrow_csv.read_csv(path), path.with_suffix(".parquet"))
    said = [predict(root, it, "--json") for it in (path, path.with_suffix(".parquet"))]
    one, other = (json.loads(done.stdout)["rows"] for done in said)
    assert one == other
    assert [row["row"] for row in one] == [1, 2, 3, 4, 5]
    for row in one:
        assert set(row["outputs"]) == {"happy", "sad"}
        assert row["class"] == max(row["outputs"], key=row["outputs"].__getitem__)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("three.png", b"", "reads a table with the columns age, city, member, zip, it's a name."),
        ("lacks.csv", b"age,member,zip,it's a name\n1,True,80331,2\n", "has no column 'city'"),
        ("new.csv", b"age,city,member,zip,it's a name\n1,Rome,True,80331,2\n", "'Rome' in line 2"),
    ],
)
def test_what_the_network_cannot_read_is_one_error(
    root: Path, tmp_path: Path, name: str, content: bytes, told: str
):
    path = tmp_path / name
    path.write_bytes(content)
    done = predict(root, path)
    assert (done.code, done.stdout) == (1, "")
    (error,) = done.errors
    assert error.startswith(f"error: {path}: ")
    assert told in error


def test_an_output_that_cannot_be_written_is_one_error(root: Path, tmp_path: Path):
    for output, told in (("out.xls", "must end in .csv"), ("no/out.csv", "can't be written")):
        done = predict(root, head(root, 3), "--output", tmp_path / output)
        assert (done.code, done.stdout) == (1, "")
        assert told in done.stderr


@pytest.fixture(scope="module")
def arrays(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("arrays")
    inputs = np.random.default_rng(0).normal(size=(200, 3))
    np.savez(root / "own.npz", x_train=inputs, y_train=inputs[:, 0] > 0)
    data = ("data=arrays", f"data.path={root / 'own.npz'}", "trainer.max_epochs=20")
    done = command.run(root, *data, "trainer=cpu", f"root={root}")
    assert done.code == 0, done.stderr
    return root


def test_arrays_and_numbers_without_names_are_told_alike(arrays: Path):
    (run,) = command.runs(arrays)
    new = np.array([[2.0, 0, 0], [-2, 0.5, 0]])
    np.savez(arrays / "new.npz", x=new)
    np.savetxt(arrays / "new.csv", new, delimiter=",")
    for name in ("new.npz", "new.csv"):
        done = predict(arrays, run.info.run_id, arrays / name)
        assert (done.code, done.stderr) == (0, "")
        first, second, _ = done.stdout.splitlines()
        assert first.startswith("row 1: True (")
        assert second.startswith("row 2: False (")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"x": np.ones((2, 4))}, "has 4 numbers for each example, and the network reads 3."),
        ({"x": np.array([[1, 2, np.nan]])}, "has nan in row 1, column 3."),
        ({"y": np.ones(2)}, "holds y, but no array x."),
        ({"x": np.array([["a", "b", "c"]])}, "x must hold numbers"),
        ({"x": np.array([[{}, {}, {}]])}, "x can't be read"),
    ],
    ids=["wide", "nan", "no x", "texts", "objects"],
)
def test_other_arrays_are_one_error(arrays: Path, content: dict[str, np.ndarray], told: str):
    (run,) = command.runs(arrays)
    np.savez(arrays / "bad.npz", **content)  # pyright: ignore[reportArgumentType]  # takes any names
    done = predict(arrays, run.info.run_id, arrays / "bad.npz")
    assert (done.code, done.stdout) == (1, "")
    (error,) = done.errors
    assert told in error
