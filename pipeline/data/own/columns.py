"""What becomes of each column of a table, and the same for new rows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.data.layout import CATEGORY, NUMBER, Column
from pipeline.data.own.arrow import types
from pipeline.data.own.opening import TableFile, shown
from pipeline.data.own.values import UNKNOWN, Values, is_number
from pipeline.data.pool import Block
from pipeline.errors import UserError

__all__ = [
    "MAX_CATEGORIES",
    "Input",
    "blocks",
    "check_values",
    "gather",
    "make_input",
    "values_of",
]

MAX_CATEGORIES = 100
"""More different texts than this are hardly categories, but names or sentences."""

BLOCK_FEATURES = 8
"""Neighbouring features that are made at a time: 64 bytes, a line of a processor's cache."""

DATE = re.compile(r"\d{4}-\d\d?-\d\d?([T ].*)?|\d\d?[./]\d\d?[./]\d{4}( .*)?|\d\d?:\d\d(:\d\d.*)?")

FORMATTED_NUMBER = re.compile(
    r"[+-]?[$€£¥]?\s?(\d+|\d{1,3}([.,'’ \u00a0\u202f]\d{3})+)([.,]\d+)?\s?[%$€£¥]?", re.ASCII
)
"""Numbers as people write them, such as 1.234,56 or 12%."""


@dataclass(frozen=True)
class Input:
    """A column that a network reads."""

    column: Column
    cells: NDArray[np.float64] | NDArray[np.int32]
    """Numbers, NaN where one is missing; or positions in the column's values, UNKNOWN there."""


def values_of(file: TableFile, name: str, *, is_text: bool, max_texts: float) -> Values:
    """Return what gathers the values of a column.

    Raises:
        UserError: it holds dates or lists, say, which are neither numbers nor texts.
    """
    kind = file.types[file.names.index(name)]
    names_only = types.is_boolean(kind) or types.is_dictionary(kind)
    if types.is_dictionary(kind):
        kind = kind.value_type
    is_usable = (
        types.is_integer(kind)
        or types.is_floating(kind)
        or types.is_decimal(kind)
        or types.is_boolean(kind)
        or types.is_string(kind)
        or types.is_large_string(kind)
        or types.is_string_view(kind)
        or types.is_null(kind)
    )
    if not is_usable:
        raise UserError(
            f"{file.path}: the column {shown(name)} holds {kind}, neither numbers nor texts. Leave "
            f"it out (data.drop=[{name}]), or write what matters of it as numbers of its own."
        )
    return Values(
        is_text=is_text or names_only, max_texts=max_texts, decimal_comma=file.decimal_comma
    )


def gather(file: TableFile, wanted: Mapping[str, Values]) -> tuple[int, dict[str, int]]:
    """Read a file once, into what gathers the values of the columns that are wanted.

    Returns:
        How many rows there are, and how many values are missing by column, also of the others.

    Raises:
        UserError: it can't be read, or has no row.
    """
    num_rows = 0
    missing = dict.fromkeys(file.names, 0)
    for name, cells in file.pieces():
        num_rows += len(cells) if name == file.names[0] else 0
        missing[name] += cells.null_count
        if name in wanted:
            wanted[name].add(cells)
    if not num_rows:
        raise UserError(f"{file.path}: has names of columns, but no row. Add some.")
    return num_rows, missing | {name: values.num_missing for name, values in wanted.items()}


def check_values(file: TableFile, name: str, values: Values, *, named: bool) -> None:
    """Refuse a column from which no features can be made.

    Args:
        file: that it is of.
        name: of the column.
        values: what it holds.
        named: it is one of `data.categories`.

    Raises:
        UserError: numbers and texts are mixed, texts are too many, or a number is infinite.
    """
    where = f"{file.path}: the column {shown(name)}"
    if values.are_mixed:
        odd = "text" if values.num_texts <= values.num_numbers else "number"
        row, value = values.first[odd]
        others = "numbers" if odd == "text" else "texts"
        raise UserError(
            f"{where} has the {odd} {shown(value)} in {file.place(row)}, but {others} elsewhere. "
            "Put it right, leave it empty if there is no value, or say "
            f"data.categories=[{name}] if all are names of categories."
        )
    if "infinite" in values.first:
        row, value = values.first["infinite"]
        raise UserError(
            f"{where} has {value} in {file.place(row)}. Inputs must be finite: write a number "
            "there, or leave it empty."
        )
    if named or values.are_numbers:
        return
    if values.texts and all(map(DATE.fullmatch, values.texts)):
        raise UserError(
            f"{where} holds dates or times, such as {shown(next(iter(values.texts)))}. Leave it "
            f"out (data.drop=[{name}]), or write what matters of it as numbers of its own."
        )
    if values.texts and all(map(_is_formatted_number, values.texts)):
        raise UserError(
            f"{where} holds numbers that are written for people, such as "
            f"{shown(next(iter(values.texts)))}. Write them as programs do, such as 1234.5, or say "
            f"data.categories=[{name}] if they are names of categories."
        )
    if values.are_too_many:
        raise UserError(
            f"{where} has more than {MAX_CATEGORIES} different texts, such as "
            f"{shown(next(iter(values.texts)))}. Leave it out (data.drop=[{name}]), or say "
            f"data.categories=[{name}] to have a feature for each of them."
        )


def _is_formatted_number(text: str) -> bool:
    return FORMATTED_NUMBER.fullmatch(text) is not None and not is_number(text)


def make_input(name: str, texts: Sequence[str], cells: NDArray[Any], num_missing: int) -> Input:
    """Return a column as a network reads it, its categories sorted; those of no row are left out.

    Args:
        name: of the column.
        texts: the different ones, if it holds texts.
        cells: numbers, or positions in `texts`; see `Values.take`.
        num_missing: rows of the file that have no value there.
    """
    if cells.dtype == np.float64:
        return Input(Column(name, NUMBER, num_missing=num_missing), cells)
    is_used = np.bincount(cells + 1, minlength=len(texts) + 1)[1:] > 0
    names = sorted(text for text, used in zip(texts, is_used, strict=True) if used)
    place = {text: at for at, text in enumerate(names)}
    places = np.array([*(place.get(text, UNKNOWN) for text in texts), UNKNOWN], np.int32)
    return Input(Column(name, CATEGORY, tuple(names), num_missing), places[cells])


def blocks(inputs: Sequence[Input]) -> Iterator[Block]:
    """Yield the features, some neighbouring ones at a time; see `Pool.blocks`."""
    numbers: list[NDArray[Any]] = []
    for it in inputs:
        is_number = it.column.kind == NUMBER
        if numbers and (len(numbers) == BLOCK_FEATURES or not is_number):
            yield np.stack(numbers, axis=1)
            numbers = []
        if is_number:
            numbers.append(it.cells)
        else:
            yield from _one_hot(it)
    if numbers:
        yield np.stack(numbers, axis=1)


def _one_hot(it: Input) -> Iterator[Block]:
    is_missing = it.cells == UNKNOWN
    for first in range(0, len(it.column.values), BLOCK_FEATURES):
        last = min(first + BLOCK_FEATURES, len(it.column.values))
        features = it.cells[:, None] == np.arange(first, last)
        if is_missing.any():
            yield np.where(is_missing[:, None], np.nan, features)
        else:
            yield features.view(np.uint8)
