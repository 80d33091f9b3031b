"""One line on each table that is of no use."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from pipeline.data.own.table import read_table
from pipeline.errors import UserError
from tests import command
from tests.data.own.tables import GOOD, config, read, read_parquet
from tests.faults.privileges import unprivileged

MISSING_Y = "x,y\n1,a\n2,\n3,a\n4,b\n5,b\n"
PARTS = "x,s,y\n1,train,0\n2,dev,1\n3,test,1\n4,test,0\n"
TWO = "1,0\n2,1\n3,0\n4,1\n"

BAD: list[tuple[str, str | bytes, dict[str, Any], str]] = [
    ("empty", "", {}, "is empty. Its first line must name the columns"),
    ("blank", "\n\n", {}, "line 1 is empty. It must name the columns"),
    ("header only", "x,y\n", {}, "has names of columns, but no row"),
    ("header without a line's end", "x,y", {}, "has names of columns, but no row"),
    ("no header", "1,2,3\n" * 5, {}, "line 1 holds numbers only"),
    ("one column", "y\n1\n2\n", {}, "line 1 names one column only"),
    ("no name", "x,,y\n1,2,3\n", {}, "column 2 has no name"),
    ("pandas' index", ",x,y\n0,2,3\n", {}, "column 1 has no name. Give it one, or remove it (pan"),
    ("workbook", b"PK\x03\x04\x14\0" + b"x,y\n", {}, "is an Excel workbook or a ZIP archive, no"),
    ("Parquet by another name", b"PAR1\0", {}, "is a Parquet file, no text. Let its name end in"),
    ("gzip", b"\x1f\x8b\x08", {}, "is compressed, no text. Decompress it with gunzip"),
    ("name of two lines", 'x,"y\nz"\n1,2\n', {}, "column 2, 'y\\nz', is of several lines"),
    ("same name", "x,y,x\n1,2,3\n", {}, "2 columns are called 'x' (columns 1, 3)"),
    ("too long a row", "x,y\n1,0\n2,1,7\n", {}, "line 3 has 3 values, but line 1 names 2"),
    ("too short a row", "x,y\n1,0\n\n2\n", {}, "line 4 has 1 values, but line 1 names 2"),
    ("ragged after a newline", 'x,y\n"a\nb",0\n2\n', {}, "line 4 has 1 values"),
    ("unclosed quote", 'x,y\n1,0\n2,"1\n3,0\n', {}, "line 3 opens a quote that isn't closed"),
    ("Latin-1", "x,y\n1,a\ncafé,b\n".encode("latin-1"), {}, "line 3 isn't UTF-8 (byte 0xe9)"),
    ("cut letter", "x,y\n1,é".encode()[:-1], {}, "line 2 isn't UTF-8"),
    ("UTF-16", GOOD.encode("utf-16"), {}, "is UTF-16. Save it as UTF-8"),
    ("UTF-16, no mark", GOOD.encode("utf-16-le"), {}, "line 1 holds a zero byte"),
    ("zero byte", "x,y\n1,0\n\0,1\n", {}, "line 3 holds a zero byte"),
    ("long line", "x,y\n1,0\n2," + "1" * 2**24 + "\n", {}, "line 3 is longer than 16 MiB"),
    ("endless line", "x" * (2**24 + 2**20), {}, "line 1 is longer than 16 MiB"),
    ("mixed", f"x,y\n{TWO}n/k,1\n", {}, "has the text 'n/k' in line 6, but numbers elsewhere"),
    ("mixed", "x,y\na,0\nb,1\n3,0\nc,1\n", {}, "has the number '3' in line 4, but texts elsewhere"),
    ("infinite", f"x,y\n{TWO}-inf,1\n", {}, "the column 'x' has -inf in line 6"),
    ("too large", f"x,y\n{TWO}1e999,1\n", {}, "the column 'x' has inf in line 6"),
    ("names", "x,y\n" + "".join(f"n{i},{i % 2}\n" for i in range(101)), {}, "more than 100"),
    ("dates", "x,y\n2020-01-01,0\n2020-01-02,1\n", {}, "holds dates or times"),
    ("thousands", 'x,y\n"1,234",0\n"12,345",1\n', {}, "for people, such as '1,234'. Write them"),
    ("thousands", "x;y\n1.234,5;0\n2.345,6;1\n", {}, "for people, such as '1.234,5'"),
    ("percent", "x,y\n12%,0\n5.5 %,1\n", {}, "for people, such as '12%'"),
    ("missing", "x,z,y\n1,,0\nNA,,1\n3,,\n", {}, "'x' (1), 'z' (3), 'y' (1) of 3 rows"),
    (
        "missing in many columns",
        ",".join(f"x{i}" for i in range(500)) + ",y\n" + "," * 499 + "1,0\n" + "," * 499 + "1,1\n",
        {},
        "'x19' (2) and 479 others of 2 rows",
    ),
    (
        "no target",
        MISSING_Y,
        {"missing": "mean"},
        "the column 'y' has no value in 1 rows, first in line 3",
    ),
    ("no value", "x,z,y\n1,,0\n2,,1\n", {"missing": "mean"}, "'z' has no value at all"),
    ("no row", "x,z,y\n1,,0\n,2,1\n", {"missing": "drop"}, "leaves no row"),
    ("one class", "x,y\n1,a\n2,a\n", {}, "has one class only, 'a'"),
    ("a class of one", f"x,y\n{TWO}1,2\n", {}, "one example of the class '2', in line 6"),
    ("classes of one", f"x,y\n{TWO}1,2\n1,3\n", {}, "'2', in line 6, and of 1 more. It"),
    ("a class of one is left", "x,y\n1,a\n,b\n3,a\n4,b\n", {"missing": "drop"}, "'b', in line 5"),
    ("quantity", "x,y\n1,3\n2,2.5\n", {}, "has '2.5' in line 3: is it a quantity?"),
    ("quantity", "x;y\n1;3\n2;2,5\n", {}, "has '2,5' in line 3: is it a quantity?"),
    (
        "too many classes",
        "x,y\n" + "".join(f"1,n{i}\n" for i in range(1001)),
        {},
        "more than 1,000",
    ),
    (
        "split",
        "x,s,y\n1,train,0\n2,dev,1\n3,test,1\n4,test,0\n",
        {"split_column": "s"},
        "'dev' in line 3: must be train, val or test",
    ),
    ("unknown target", GOOD, {"target": "z"}, "has no such column, only age, color, ok, y"),
    ("near target", GOOD, {"target": "Color2"}, "data.target=Color2"),
    (
        "unknown",
        GOOD,
        {"drop": ["agee"]},
        "only age, color, ok, y. Did you mean age?",
    ),
    ("twice", GOOD, {"columns": ["age", "age"]}, "data.columns names the column 'age' 2 times"),
    (
        "target as input",
        GOOD,
        {"columns": ["age", "y"]},
        "data.columns names the column 'y', which",
    ),
    (
        "target left out",
        GOOD,
        {"drop": ["y"]},
        "data.drop names the column 'y', which",
    ),
    (
        "split as input",
        GOOD,
        {"split_column": "ok", "columns": ["ok"]},
        "which is data.split_column",
    ),
    ("split is target", GOOD, {"split_column": "y"}, "data.split_column=y: is the target"),
    ("both", GOOD, {"columns": ["age"], "drop": ["age"]}, "both name 'age'"),
    (
        "left out",
        GOOD,
        {"drop": ["age"], "categories": ["age"]},
        "or data.drop leaves out",
    ),
    ("nothing left", GOOD, {"drop": ["age", "color", "ok"]}, "no column is left to learn from"),
]


@pytest.mark.parametrize(
    ("content", "keys", "message"), [case[1:] for case in BAD], ids=[case[0] for case in BAD]
)
def test_a_bad_table_is_one_line_that_says_where(
    tmp_path: Path, content: str | bytes, keys: dict[str, Any], message: str
):
    with pytest.raises(UserError) as caught:
        read(tmp_path, content, **keys)
    said = str(caught.value)
    assert message.format(path=tmp_path / "t.csv") in said
    assert "\n" not in said
    assert str(tmp_path / "t.csv") in said or said.startswith("data.")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"x": [date(2020, 1, 1), date(2020, 1, 2)]}, "the column 'x' holds date32[day]"),
        ({"x": [[1], [2]]}, "the column 'x' holds list<"),
        ({"x": [{"a": 1}, {"a": 2}]}, "the column 'x' holds struct<"),
        ({"x": [b"1", b"2"]}, "the column 'x' holds binary"),
        ({"x": [1.0, float("inf")]}, "has inf in row 2"),
        ({"x": ["1", "b"]}, "has the text 'b' in row 2"),
        ({"x": [1.0, float("nan")]}, "'x' (1) of 2 rows"),
        ({"x": pa.array([], pa.int64()), "y": pa.array([], pa.int64())}, "but no row"),
        ({"x": [1, 2], "y": [0.5, 1.0]}, "has '0.5' in row 1: is it a quantity?"),
        ({"x": [1, 2], "y": [date(2020, 1, 1)] * 2}, "the column 'y' holds date32[day]"),
    ],
)
def test_a_bad_parquet_file(tmp_path: Path, columns: dict[str, Any], message: str):
    with pytest.raises(UserError) as caught:
        read_parquet(tmp_path, {"y": [0, 1], **columns})
    assert message in str(caught.value)


def test_two_columns_of_a_parquet_file_with_one_name(tmp_path: Path):
    table = pa.Table.from_arrays([pa.array([1, 2])] * 3, ["x", "x", "y"])
    parquet.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(UserError, match="2 columns are called 'x'"):
        read_table(config(tmp_path / "t.parquet"))


def test_a_parquet_file_that_is_none_or_cut_short(tmp_path: Path):
    read_parquet(tmp_path, {"x": [1, 2, 3, 4], "y": [0, 1, 0, 1]})
    whole = (tmp_path / "t.parquet").read_bytes()
    for content in (b"", b"x,y\n1,2\n", whole[:-20], whole[: len(whole) // 2]):
        with pytest.raises(UserError, match="is no Parquet file, or a damaged one"):
            read(tmp_path, content, "t.parquet")


def test_paths_that_lead_to_no_table(tmp_path: Path):
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "link.csv").symlink_to("nowhere.csv")
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "t.xlsx").touch()
    for name, message in {
        "absent.csv": "there is no such file .*sees only what is mounted or shared",
        "folder.csv": "is a folder",
        "link.csv": "is a link to nowhere.csv, which isn't there",
        "pipe.csv": "is no file, but a device or a pipe",
        "t.xlsx": "must end in .csv, .tsv or .parquet",
        "t.pkl": "there is no such file",
        "x" * 300 + ".csv": "can't be read|no such file",
    }.items():
        with pytest.raises(UserError, match=message):
            read_table(config(tmp_path / name))


def test_a_file_that_one_may_not_read(tmp_path: Path):
    path = tmp_path / "t.csv"
    path.write_text(GOOD)
    path.chmod(0)
    done = command.run(
        tmp_path,
        "data=table",
        f"data.path={path}",
        "data.target=y",
        f"root={tmp_path}",
        before=unprivileged(),
    )
    assert (done.code, len(done.errors)) == (1, 1)
    assert "you may not read it" in done.stderr


def test_a_file_that_does_not_fit_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: Any):
    monkeypatch.setattr("pipeline.memory.free_mb", lambda: 0.001)
    with pytest.raises(UserError, match=f"data.path={tmp_path}/t.csv: takes some .* MB of memory"):
        read(tmp_path, GOOD)
    monkeypatch.setattr("pipeline.memory.free_mb", lambda: 40)
    text = "c,y\n" + "".join(f"v{at},{at % 2}\n" for at in range(20_000))
    with pytest.raises(UserError, match=r"takes some 1,5.. MB of memory"):  # one-hot, not the file
        read(tmp_path, text, categories=["c"])
