"""Whatever a file holds, it becomes examples or one line on what is wrong, and never takes long."""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import csv as arrow_csv
from pyarrow import parquet

from pipeline.data.layout import Table
from pipeline.data.own.rows import read_rows
from pipeline.data.own.table import read_table
from pipeline.data.pool import Pool
from pipeline.errors import UserError
from tests.data.own.tables import config, features

MAX_SECONDS = 5

fuzz = settings(
    max_examples=150,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)

TABLE = pa.table(
    {
        "age": [30, 41.5, None, 19, 22.25, 8],
        "color": pa.array(["red", "blue", "red", "blue", None, "red"]).dictionary_encode(),
        "ok": [True, False, True, True, False, True],
        "part": ["train", "val", "test", "train", "train", "test"],
        "y": [1, 0, 1, 0, 1, 0],
    }
)


def as_parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    parquet.write_table(table, buffer)
    return buffer.getvalue()


def as_csv(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    arrow_csv.write_csv(table, buffer)
    return buffer.getvalue()


CSV, PARQUET = as_csv(TABLE), as_parquet(TABLE)
FORMATS = ((CSV, ".csv"), (PARQUET, ".parquet"))


def outcome(content: bytes, suffix: str, **keys: Any) -> Pool | str:
    """What becomes of a file: examples, or what is said instead."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"t{suffix}")
        path.write_bytes(content)
        started = time.monotonic()
        try:
            result = read_table(config(path, **keys))
        except UserError as error:
            result = str(error)
        assert time.monotonic() - started < MAX_SECONDS
        if isinstance(result, Pool):
            assert features(result).shape == (len(result.labels), result.layout.num_features)
            assert len(result.parts) == len(result.labels)
            assert result.labels.min() >= 0
            assert result.labels.max() < len(result.classes)
        else:
            assert len(result.splitlines()) == 1
        return result


def mutated(whole: bytes) -> st.SearchStrategy[bytes]:
    """Files that were good: with some bits turned, cut short, a piece written twice or left out."""
    place = st.integers(0, len(whole) - 1)
    flips = st.lists(st.tuples(place, st.integers(0, 7)), min_size=1, max_size=8)

    def flipped(bits: list[tuple[int, int]]) -> bytes:
        changed = bytearray(whole)
        for at, bit in bits:
            changed[at] ^= 1 << bit
        return bytes(changed)

    pieces = st.tuples(place, place).map(sorted)
    return st.one_of(
        flips.map(flipped),
        place.map(lambda end: whole[:end]),
        pieces.map(lambda piece: whole[: piece[1]] + whole[piece[0] :]),
        pieces.map(lambda piece: whole[: piece[0]] + whole[piece[1] :]),
    )


keys = st.fixed_dictionaries(
    {"missing": st.sampled_from(["error", "mean", "drop"])},
    optional={
        "split_column": st.just("part"),
        "drop": st.lists(st.sampled_from(TABLE.column_names), max_size=3),
        "columns": st.lists(st.sampled_from(TABLE.column_names), max_size=3),
        "categories": st.lists(st.sampled_from(TABLE.column_names), max_size=3),
        "target": st.sampled_from(TABLE.column_names),
    },
)


@given(st.binary(max_size=400), st.sampled_from([".csv", ".tsv", ".parquet"]))
@fuzz
def test_any_bytes(content: bytes, suffix: str):
    outcome(content, suffix)
    outcome(b"x,y\n" + content, suffix)
    outcome(b"PAR1" + content + b"PAR1", suffix)


@given(st.text(st.sampled_from('ab01.,;"\n\r\t |-eé'), max_size=60), keys)
@fuzz
def test_any_text(text: str, asked: dict[str, Any]):
    outcome(text.encode(), ".csv")
    outcome(("y,age,color,ok,part\n" + text).encode(), ".csv", **asked)


@given(mutated(CSV), keys)
@fuzz
def test_a_csv_file_that_was_good(content: bytes, asked: dict[str, Any]):
    outcome(content, ".csv", **asked)


@given(mutated(PARQUET), keys)
@fuzz
def test_a_parquet_file_that_was_good(content: bytes, asked: dict[str, Any]):
    outcome(content, ".parquet", **asked)


@given(keys)
@fuzz
def test_any_keys_on_a_good_file(asked: dict[str, Any]):
    said = [outcome(content, suffix, **asked) for content, suffix in FORMATS]
    if all(isinstance(it, Pool) for it in said):
        one, other = said
        assert isinstance(one, Pool)
        assert isinstance(other, Pool)
        assert np.array_equal(features(one), features(other), equal_nan=True)


numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-999, 999).map(float)
words = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1).map(
    lambda text: f"_{text}_"  # no number, not missing, no date, no white space around it
)
names = words.filter(lambda name: name.splitlines() == [name])


@st.composite
def tables(draw: Callable[[Any], Any]) -> dict[str, list[Any]]:
    """Columns of numbers, texts or booleans and a class, each class twice at least."""
    classes = draw(st.lists(words, min_size=2, max_size=4, unique=True))
    target = draw(st.permutations(classes * 2 + draw(st.lists(st.sampled_from(classes)))))
    texts = st.sampled_from(draw(st.lists(words, min_size=1)))
    kinds = st.sampled_from([numbers, texts, st.booleans()])
    columns = {
        name: draw(st.lists(draw(kinds), min_size=len(target), max_size=len(target)))
        for name in draw(st.lists(names, min_size=1, max_size=5, unique=True))
    }
    return {**columns, "y": target}


def encoded(columns: Mapping[str, list[Any]]) -> list[list[float]]:
    """The features by plain Python."""
    rows: list[list[float]] = [[] for _ in columns["y"]]
    for name, values in columns.items():
        if name == "y":
            continue
        if all(isinstance(value, bool) for value in values):
            values = [str(value).lower() for value in values]
        is_text = any(isinstance(value, str) for value in values)
        for row, value in zip(rows, values, strict=True):
            row += [float(value == other) for other in sorted(set(values))] if is_text else [value]
    return rows


def plain_csv(columns: Mapping[str, list[Any]]) -> str:
    def quoted(value: Any) -> str:
        return '"' + value.replace('"', '""') + '"' if isinstance(value, str) else repr(value)

    rows = zip(*columns.values(), strict=True)
    return "".join(",".join(map(quoted, row)) + "\n" for row in (columns, *rows))


@given(tables())
@fuzz
def test_any_good_table_gives_what_plain_python_gives(columns: dict[str, list[Any]]):
    forms = ((plain_csv(columns).encode(), ".csv"), (as_parquet(pa.table(columns)), ".parquet"))
    for content, suffix in forms:
        pool = outcome(content, suffix)
        assert isinstance(pool, Pool), pool
        assert features(pool).tolist() == encoded(columns)
        assert [pool.classes[label] for label in pool.labels] == columns["y"]
        assert pool.classes == tuple(sorted(set(columns["y"])))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, f"t{suffix}")
            path.write_bytes(content)
            assert isinstance(pool.layout, Table)
            read, labels = read_rows(path, pool.layout, fills=False)
            assert (read.tolist(), labels) == (encoded(columns), columns["y"])
