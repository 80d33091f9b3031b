"""What is made of tables that are as they should be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipeline.data.layout import Column, Table, column_list
from pipeline.data.pool import TEST, TRAIN, UNDIVIDED, VAL
from pipeline.data.tensors import load
from pipeline.errors import UserError
from tests.data.own.tables import GOOD, config, features, names, read, read_parquet


def test_numbers_stay_and_categories_become_a_feature_for_each_value(tmp_path: Path):
    pool = read(tmp_path, GOOD)
    assert names(pool) == ["age", "color=blue", "color=red", "ok=false", "ok=true"]
    assert features(pool).tolist() == [
        [30, 0, 1, 0, 1],
        [41.5, 1, 0, 1, 0],
        [27, 0, 1, 0, 1],
        [19, 1, 0, 0, 1],
    ]
    assert (pool.classes, pool.labels.tolist()) == (("0", "1"), [1, 0, 1, 0])
    assert pool.parts.tolist() == [UNDIVIDED] * 4


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", GOOD.replace(",", ";")),
        ("t.csv", GOOD.replace(",", ";").replace("41.5", "41,5")),
        ("t.csv", GOOD.replace(",", "|")),
        ("t.csv", GOOD.replace(",", "\t")),
        ("t.tsv", GOOD.replace(",", "\t")),
        ("T.CSV", GOOD),
        ("t.csv", GOOD.replace("\n", "\r\n")),
        ("t.csv", GOOD.replace("\n", "\r")),
        ("t.csv", "\ufeff" + GOOD),
        ("t.csv", GOOD.rstrip()),
        ("t.csv", GOOD + "\n\n"),
        ("t.csv", GOOD.replace(",", ", ")),
        ("t.csv", GOOD.replace("red", '"red"').replace("30", '"30"')),
        ("t.csv", GOOD.replace("30", "+30").replace("27", "2.7e1")),
    ],
)
def test_the_same_table_in_other_forms(tmp_path: Path, name: str, content: str):
    assert np.array_equal(features(read(tmp_path, content, name)), features(read(tmp_path, GOOD)))


def test_parquet_gives_what_csv_gives(tmp_path: Path):
    columns = {
        "age": [30, 41.5, 27, 19],
        "color": pa.array(["red", "blue", "red", "blue"]).dictionary_encode(),
        "ok": [True, False, True, True],
        "y": pa.array([1, 0, 1, 0], pa.int8()),
    }
    pool, same = read_parquet(tmp_path, columns), read(tmp_path, GOOD)
    assert pool.layout == same.layout
    assert np.array_equal(features(pool), features(same))
    assert (pool.classes, pool.labels.tolist()) == (same.classes, same.labels.tolist())


@pytest.mark.parametrize(
    "kind",
    [
        pa.int8(),
        pa.uint64(),
        pa.float16(),
        pa.float32(),
        pa.decimal128(9, 2),
        pa.string(),
        pa.large_string(),
        pa.string_view(),
    ],
    ids=str,
)
def test_numbers_of_any_type_in_a_parquet_file(tmp_path: Path, kind: pa.DataType):
    is_text = not (pa.types.is_integer(kind) or pa.types.is_floating(kind))
    wide = pa.array([str(value) if is_text else value for value in (7, 0, 3, 1)])
    narrow = wide.cast(pa.float32()).cast(kind) if kind == pa.float16() else wide.cast(kind)
    pool = read_parquet(tmp_path, {"x": narrow, "y": [1, 0, 1, 0]})
    assert features(pool).tolist() == [[7], [0], [3], [1]]


def test_newlines_and_delimiters_in_quotes_belong_to_a_value(tmp_path: Path):
    text = '"a, b",y\n"one\ntwo",1\n"x ""y"", z",0\n"one\ntwo",1\n"x ""y"", z",0\n'
    assert names(read(tmp_path, text)) == ["a, b=one\ntwo", 'a, b=x "y", z']


def test_columns_and_drop_say_what_is_read(tmp_path: Path):
    assert names(read(tmp_path, GOOD, columns=["age"])) == ["age"]
    pool = read(tmp_path, GOOD, drop=["color", "ok"])
    assert names(pool) == ["age"]
    assert isinstance(pool.layout, Table)
    kinds = [(column.name, column.kind) for column in pool.layout.columns]
    assert kinds == [("age", "number"), ("color", "dropped"), ("ok", "dropped"), ("y", "target")]


def test_numbers_that_are_names(tmp_path: Path):
    text = "zip,y\n01067,1\n80331,0\n01067,1\nA-1,0\n"
    pool = read(tmp_path, text, categories=["zip"])
    assert names(pool) == ["zip=01067", "zip=80331", "zip=A-1"]
    whole = {"zip": [1.0, None, 3.0, 1.0], "y": [1, 0, 1, 0]}
    pool = read_parquet(tmp_path, whole, categories=["zip"], missing="mean")
    assert names(pool) == ["zip=1", "zip=3"]
    assert np.isnan(features(pool)[1]).all()


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        (["10", "9", "10", "9"], ("9", "10")),
        (["1.0", "0.0", "1.0", "0.0"], ("0", "1")),
        (["True", "False", "False", "True"], ("false", "true")),
        (["yes", "no", "no", "yes"], ("no", "yes")),
        (["1", "b", "1", "b"], ("1", "b")),
    ],
)
def test_names_and_order_of_classes(tmp_path: Path, values: list[str], classes: tuple[str, ...]):
    text = "x,y\n" + "".join(f"{row},{value}\n" for row, value in enumerate(values))
    pool = read(tmp_path, text)
    assert pool.classes == classes
    first = values.index(values[-1])
    assert (
        pool.labels[first] == pool.labels[-1] != pool.labels[values.index(values[1])] or first == 1
    )


def test_a_missing_value_is_filled_or_its_row_left_out(tmp_path: Path):
    text = "a,c,d,y\n1,u,,1\n,u,,0\n3,NA,,1\n4,v,,0\n5,u,,1\n6,u,,0\n7,w,,\n"
    pool = read(tmp_path, text.replace("7,w,,\n", ""), drop=["d"], missing="mean")
    assert np.isnan(features(pool)).sum(axis=0).tolist() == [1, 1, 1]
    pool = read(tmp_path, text, drop=["d"], missing="drop")
    assert names(pool) == ["a", "c=u", "c=v"]  # of w no row is left
    assert features(pool).tolist() == [[1, 1, 0], [4, 0, 1], [5, 1, 0], [6, 1, 0]]
    assert pool.labels.tolist() == [1, 0, 1, 0]
    assert isinstance(pool.layout, Table)
    assert [column.num_missing for column in pool.layout.columns] == [1, 1, 7, 1]


def test_a_missing_number_takes_the_mean_of_the_training_examples(tmp_path: Path):
    rows = [(1, "train"), (3, "train"), ("", "train"), (1, "train"), (90, "test"), ("", "test")]
    text = "a,s,y\n" + "".join(f"{a},{s},{at % 2}\n" for at, (a, s) in enumerate(rows))
    path = tmp_path / "t.csv"
    path.write_text(text)
    data = load(config(path, missing="mean", split_column="s", scale="none", val_share=0.0))
    assert sorted(data.test.inputs.flatten().tolist()) == pytest.approx([5 / 3, 90])


def test_a_column_says_which_rows_are_for_what(tmp_path: Path):
    parts = ["train", "Train", "TEST", "val", "valid", "Validation"]
    text = "a,s,y\n" + "".join(f"{at},{part},{at % 2}\n" for at, part in enumerate(parts))
    pool = read(tmp_path, text, split_column="s")
    assert pool.parts.tolist() == [TRAIN, TRAIN, TEST, VAL, VAL, VAL]
    assert names(pool) == ["a"]


def test_the_digest_tells_contents_and_columns_but_not_places(tmp_path: Path):
    other = tmp_path / "elsewhere"
    other.mkdir()
    digest = read(tmp_path, GOOD).digest
    assert read(other, GOOD).digest == digest
    changed = [
        read(other, GOOD.replace("30", "31")),
        read(other, GOOD, drop=["ok"]),
        read(other, GOOD, columns=["age", "color"]),
        read(other, GOOD, categories=["age"]),
        read(other, GOOD, missing="mean"),
    ]
    assert len({digest, *(pool.digest for pool in changed)}) == 6


def test_rows_in_many_pieces_are_all_there(tmp_path: Path):
    number = 60_000
    values = np.random.default_rng(0).normal(size=number)
    rows = [f"{value!r},{'ab'[at % 2]},{at % 3}\n" for at, value in enumerate(values.tolist())]
    pool = read(tmp_path, "x,c,y\n" + "".join(rows))
    assert np.array_equal(features(pool)[:, 0], values)
    assert pool.labels.tolist() == [at % 3 for at in range(number)]
    late = "".join(rows) + "oops,a,1\n"
    with pytest.raises(UserError, match=rf"'oops' in line {number + 2}, but numbers elsewhere"):
        read(tmp_path, "x,c,y\n" + late)


def test_many_categories_come_in_several_blocks(tmp_path: Path):
    text = "c,y\n" + "".join(f"v{at:02},{at % 2}\n" for at in range(40))
    pool = read(tmp_path, text)
    assert max(block.shape[1] for block in pool.blocks()) < 40
    assert np.array_equal(features(pool), np.eye(40))


def test_what_was_made_of_each_column_as_a_list():
    columns = (
        Column("age", "number", num_missing=2),
        Column("color", "category", ("blue", "red")),
        Column("id", "dropped"),
        Column("y", "target", ("0", "1")),
    )
    assert column_list(Table(columns)).splitlines() == [
        "column,kind,features,missing,values",
        "age,number,1,2,",
        'color,category,2,0,"blue, red"',
        "id,dropped,0,0,",
        'y,target,0,0,"0, 1"',
    ]


TWO = "1,0\n2,1\n3,0\n4,1\n"


def test_a_changed_file_is_read_again(tmp_path: Path):
    path = tmp_path / "t.csv"
    path.write_text("x,y\n" + TWO * 5)
    asked = config(path, scale="none", val_share=0.0)
    assert load(asked).train.inputs.max() == 4
    path.write_text("x,y\n" + TWO.replace("4", "44") * 5)
    assert load(replace(asked)).train.inputs.max() == 44


@pytest.mark.parametrize("first", [0, 1])
def test_a_column_that_numbers_the_rows_is_refused_unless_it_is_asked_for(
    tmp_path: Path, first: int
):
    rows = [f"{first + at},{at * at % 7},{'ab'[at % 2]}\n" for at in range(30)]
    text = "id,x,y\n" + "".join(rows)
    with pytest.raises(UserError, match=r"column 'id' numbers the rows.* data\.drop=\[id\]"):
        read(tmp_path, text)
    assert names(read(tmp_path, text, drop=["id"])) == ["x"]
    assert names(read(tmp_path, text, columns=["id", "x"])) == ["id", "x"]
