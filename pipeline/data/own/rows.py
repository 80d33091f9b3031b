"""New rows of a table, as a network takes them that was trained on others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from pipeline.config.options import did_you_mean, listed
from pipeline.data.layout import CATEGORY, NUMBER, Column, Table
from pipeline.data.own.columns import (
    MAX_CATEGORIES,
    Input,
    blocks,
    check_values,
    gather,
    values_of,
)
from pipeline.data.own.labels import whole_number
from pipeline.data.own.opening import TableFile, open_table, shown
from pipeline.data.own.roles import TARGET
from pipeline.data.own.values import UNKNOWN, Values
from pipeline.errors import UserError

__all__ = ["read_rows"]


def read_rows(
    path: Path, layout: Table, *, fills: bool
) -> tuple[Float[NDArray[np.float64], "rows features"], list[str] | None]:
    """Return new rows of a table as a trained network takes them.

    Args:
        path: a .csv, .tsv or .parquet file; columns that are no inputs are ignored.
        layout: of the table that the network was trained on.
        fills: whether a value may be missing, as NaN.

    Returns:
        The raw features, and the class of each row by name where the target column is there.

    Raises:
        UserError: the file can't be read, a column is missing, or a value is none that the network
            knows.
    """
    file = open_table(path, str(path))
    inputs = layout.inputs
    (target,) = (column for column in layout.columns if column.kind == TARGET)
    for column in inputs:
        _require_column(file, column.name)
    wanted = {
        column.name: values_of(
            file, column.name, is_text=column.kind == CATEGORY, max_texts=float("inf")
        )
        for column in inputs
    }
    if target.name in file.names:
        wanted[target.name] = values_of(file, target.name, is_text=True, max_texts=float("inf"))
    gather(file, wanted)
    read = [_as_trained(file, column, wanted[column.name], fills=fills) for column in inputs]
    labels = _labels(file, target, wanted[target.name]) if target.name in wanted else None
    return np.concatenate(list(blocks(read)), axis=1, dtype=np.float64), labels


def _require_column(file: TableFile, name: str) -> None:
    if name not in file.names:
        raise UserError(
            f"{file.path}: has no column {shown(name)}, which the network reads, only "
            f"{listed(file.names)}.{did_you_mean(name, file.names)}"
        )


def _as_trained(file: TableFile, column: Column, values: Values, *, fills: bool) -> Input:
    """Return a column of new rows, checked against what the network knows."""
    where = f"{file.path}: the column {shown(column.name)}"
    if values.num_missing and not fills:
        raise UserError(
            f"{where} has no value in {file.place(values.first['missing'][0])}. The network was "
            "trained without missing values: write one, or leave the row out."
        )
    if column.kind == NUMBER:
        if not values.are_numbers:
            row, value = values.first["text"]
            raise UserError(f"{where} has {shown(value)} in {file.place(row)}: must be a number.")
        check_values(file, column.name, values, named=True)
        return Input(column, values.take())
    known = [_position(text, column.values) for text in values.texts]
    positions = values.take()
    for at, text in enumerate(values.texts):
        if known[at] == UNKNOWN:
            row = int((positions == at).argmax())
            raise UserError(
                f"{where} has {shown(text)} in {file.place(row)}, which the network doesn't know. "
                f"It knows {listed(map(shown, column.values), MAX_CATEGORIES)}."
                f"{did_you_mean(shown(text), map(shown, column.values))}"
            )
    return Input(column, np.array([*known, UNKNOWN], np.int32)[positions])


def _labels(file: TableFile, target: Column, values: Values) -> list[str]:
    if values.num_missing:
        raise UserError(
            f"{file.path}: the target {shown(target.name)} has no value in "
            f"{file.place(values.first['missing'][0])}. Write one, or leave the column out."
        )
    names = [
        text if (at := _position(text, target.values)) == UNKNOWN else target.values[at]
        for text in values.texts
    ]
    return [names[position] for position in values.take()]


def _position(text: str, known: Sequence[str]) -> int:
    """Return where a text, or another way to write the same, stands among the known ones."""
    if text in known:
        return known.index(text)
    plain = [_plain(other) for other in known]
    return plain.index(_plain(text)) if _plain(text) in plain else UNKNOWN


def _plain(text: str) -> str:
    """Return what different ways to write a whole number, true or false have in common."""
    number = whole_number(text)
    if number is not None:
        return str(number)
    return text.lower() if text.lower() in ("true", "false") else text
