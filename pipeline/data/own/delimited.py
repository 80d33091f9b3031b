"""CSV and its relatives: values divided by commas, semicolons, tabs or bars."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from pipeline.data.own.arrow import ArrowError, csv, pa
from pipeline.data.own.opening import KEPT_BYTES, TableFile, check_names
from pipeline.data.own.text import Scan, rows, scan
from pipeline.data.own.values import MISSING, is_number
from pipeline.data.pool import require_memory
from pipeline.errors import UserError

__all__ = ["open_delimited"]

DELIMITERS = {".csv": ",;\t|", ".tsv": "\t"}
"""By suffix, what may divide values; the first that divides the first line into most wins."""

HEAD_BYTES = 2**20
BLOCK_BYTES = 2**20
"""So much of a file is parsed at a time, at least."""

PARSING_BYTES = 200e6
"""Memory for what is parsed ahead of what is kept, at most: with blocks of this size 150 MB were
measured beside 160 MB that are kept."""

PARSING_FACTOR = 100
"""The same for a small file, by its size."""


def open_delimited(path: Path, setting: str) -> TableFile:
    """Check a text file of rows and columns as far as its bytes and its header go.

    Args:
        path: a file that is there.
        setting: what named it, for messages about memory.

    Raises:
        UserError: it can't be a table.
    """
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    require_memory(setting, _memory_bytes(path.stat().st_size, head))
    found = scan(path)
    delimiter, names = _header(path)
    return TableFile(
        path=path,
        digest=found.digest,
        names=names,
        types=(pa.string(),) * len(names),
        pieces=lambda: _pieces(path, delimiter, names, found),
        place=lambda row: _place(path, delimiter, row),
        decimal_comma=delimiter == ";",
    )


def _memory_bytes(size: int, head: bytes) -> float:
    """Return what reading a file takes, judged by its first lines."""
    num_columns = max(head.partition(b"\n")[0].count(mark.encode()) for mark in ",;\t|") + 1
    num_rows = size * max(1, head.count(b"\n")) / max(1, len(head))
    return num_rows * num_columns * KEPT_BYTES + min(PARSING_BYTES, PARSING_FACTOR * size)


def _header(path: Path) -> tuple[str, tuple[str, ...]]:
    """Return the delimiter and the names of the columns."""
    with path.open(encoding="utf-8-sig") as file:
        first = file.readline()
        if not first:
            raise UserError(f"{path}: is empty. Its first line must name the columns.")
    if not first.strip():
        raise UserError(f"{path}: line 1 is empty. It must name the columns.")
    possible = DELIMITERS[path.suffix.lower()]
    headers = {mark: next(rows(path, mark))[1] for mark in possible if mark in first}
    if not headers:
        marks = " ".join("a tab" if mark == "\t" else mark for mark in possible)
        raise UserError(
            f"{path}: line 1 names one column only. Columns are divided by {marks} in a file "
            f"that is called {path.suffix}."
        )
    delimiter = max(headers, key=lambda mark: len(headers[mark]))
    names = tuple(name.strip() for name in headers[delimiter])
    if all(map(is_number, names)):
        raise UserError(
            f"{path}: line 1 holds numbers only, so a line that names the columns is missing. "
            "Add one."
        )
    check_names(path, names)
    return delimiter, names


def _pieces(
    path: Path, delimiter: str, names: Sequence[str], found: Scan
) -> Iterator[tuple[str, Any]]:
    """Yield pieces of the columns as texts, missing ones as null."""
    if len(list(islice(rows(path, delimiter), 2))) < 2:  # pyarrow calls that a row cut short
        return
    if found.num_quotes % 2:  # pyarrow would close it at the end of the file
        _see_all_rows(path, delimiter)
    ragged: list[Any] = []

    def note(row: Any) -> str:
        ragged.append(row)
        return "error"

    try:
        for batch in csv.open_csv(path, **_options(delimiter, names, found, note)):
            yield from zip(names, batch.columns, strict=True)
    except ArrowError as error:
        if ragged:
            raise _ragged(path, delimiter, len(names), ragged[0]) from error
        _see_all_rows(path, delimiter)
        raise UserError(f"{path}: can't be read as a table ({error}).") from error


def _options(
    delimiter: str, names: Sequence[str], found: Scan, on_ragged: Callable[[Any], str]
) -> dict[str, Any]:
    """Return how pyarrow is to read a file: all values as texts, the first line left out."""
    return {
        "read_options": csv.ReadOptions(
            column_names=names,
            skip_rows_after_names=1,
            block_size=max(BLOCK_BYTES, 2 * found.longest_line),
        ),
        "parse_options": csv.ParseOptions(
            delimiter=delimiter,
            newlines_in_values=found.num_quotes > 0,
            invalid_row_handler=on_ragged,
        ),
        "convert_options": csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            null_values=sorted(MISSING),
            strings_can_be_null=True,
            check_utf8=False,
        ),
    }


def _see_all_rows(path: Path, delimiter: str) -> None:
    """Say what is wrong with the quotes, if anything."""
    for _ in rows(path, delimiter):
        pass


def _ragged(path: Path, delimiter: str, expected: int, row: Any) -> UserError:
    found = (
        f"line {line} has {len(values)} values"
        for line, values in rows(path, delimiter)
        if len(values) != expected
    )
    what = next(found, f"a row has {row.actual_columns} values")
    return UserError(
        f"{path}: {what}, but line 1 names {expected} columns. Values that hold the delimiter "
        f"{delimiter!r} must stand in quotes."
    )


def _place(path: Path, delimiter: str, row: int) -> str:
    """Return the line on which a row begins, after the header's."""
    (line, _), *_ = islice(rows(path, delimiter), row + 1, row + 2)
    return f"line {line}"
