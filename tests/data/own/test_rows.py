"""New rows for a trained network: the same reading and checks, whatever else the file holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from pipeline.data.layout import Table
from pipeline.data.own.rows import read_rows
from pipeline.errors import UserError
from tests.data.own.tables import GOOD, features, read


@pytest.fixture
def columns(tmp_path: Path) -> Table:
    layout = read(tmp_path, GOOD, "trained.csv").layout
    assert isinstance(layout, Table)
    return layout


def rows(folder: Path, text: str, columns: Table, *, fills: bool = False):
    (folder / "new.csv").write_text(text)
    return read_rows(folder / "new.csv", columns, fills=fills)


def test_the_training_file_gives_what_the_network_was_trained_on(tmp_path: Path, columns: Table):
    inputs, labels = rows(tmp_path, GOOD, columns)
    assert inputs.dtype == np.float64
    assert np.array_equal(inputs, features(read(tmp_path, GOOD)))
    assert labels == ["1", "0", "1", "0"]


def test_other_columns_another_order_and_other_spellings_are_the_same(
    tmp_path: Path, columns: Table
):
    text = "id;ok;color;age\nx1;TRUE;red;30\nx2;False;blue;41,5\n"
    inputs, labels = rows(tmp_path, text, columns)
    assert inputs.tolist() == [[30, 0, 1, 0, 1], [41.5, 1, 0, 1, 0]]
    assert labels is None


def test_rows_of_a_parquet_file(tmp_path: Path, columns: Table):
    table = {"y": [1.0, 0.0], "age": [30, 19], "color": ["red", "red"], "ok": [True, False]}
    parquet.write_table(pa.table(table), tmp_path / "new.parquet")
    inputs, labels = read_rows(tmp_path / "new.parquet", columns, fills=False)
    assert inputs.tolist() == [[30, 0, 1, 0, 1], [19, 0, 1, 1, 0]]
    assert labels == ["1", "0"]


def test_a_missing_value_is_one_where_the_network_fills_it(tmp_path: Path, columns: Table):
    text = "age,color,ok\n,NA,true\n"
    inputs, _ = rows(tmp_path, text, columns, fills=True)
    assert np.isnan(inputs).tolist() == [[True, True, True, False, False]]
    with pytest.raises(UserError, match="the column 'age' has no value in line 2"):
        rows(tmp_path, text, columns)


def test_one_row_without_a_value_at_all(tmp_path: Path, columns: Table):
    inputs, labels = rows(tmp_path, "age,color,ok,y\n,,,1\n", columns, fills=True)
    assert np.isnan(inputs).all()
    assert labels == ["1"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("agee,color,ok\n1,red,true\n", "has no column 'age', which the network reads, only agee"),
        ("Age,color,ok\n1,red,true\n", "reads, only Age, color, ok. Did you mean Age?"),
        ("age,color,ok\n1,red,true\n2,rod,true\n", "has 'rod' in line 3, which the network does"),
        ("age,color,ok\n1,green,true\n", "It knows 'blue', 'red'."),
        ("age,color,ok\n1,red,true\nold,red,true\n", "has 'old' in line 3: must be a number"),
        ("age,color,ok\nold,red,true\n", "has 'old' in line 2: must be a number"),
        ("age,color,ok\ninf,red,true\n", "the column 'age' has inf in line 2"),
        ("age,color,ok\n1,red\n", "line 2 has 2 values, but line 1 names 3"),
        ("age,color,ok\n", "but no row"),
        ("age,color,ok,y\n1,red,true,\n", "the target 'y' has no value in line 2"),
    ],
)
def test_what_the_network_can_not_take(tmp_path: Path, columns: Table, text: str, message: str):
    with pytest.raises(UserError) as caught:
        rows(tmp_path, text, columns)
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path / 'new.csv'}: ")
