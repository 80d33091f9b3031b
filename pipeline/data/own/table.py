"""A table of a user's own as examples: `data=table`."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.config.options import listed
from pipeline.config.schema.data import DataConfig
from pipeline.data.layout import Column, Table
from pipeline.data.own.columns import (
    MAX_CATEGORIES,
    Input,
    blocks,
    check_values,
    gather,
    make_input,
    values_of,
)
from pipeline.data.own.opening import TableFile, open_table, shown
from pipeline.data.own.roles import DROPPED, INPUT, SPLIT, TARGET, assign_roles
from pipeline.data.own.target import (
    MAX_CLASSES,
    check_classes,
    check_target,
    name_classes,
    parts_of,
)
from pipeline.data.own.values import UNKNOWN, Values
from pipeline.data.pool import UNDIVIDED, Pool, require_memory
from pipeline.errors import UserError

__all__ = ["read_table"]

IDENTITY = ("target", "columns", "drop", "categories", "missing", "split_column")
"""The keys that decide what is made of a file."""

MIN_NUMBERED = 20
"""Rows from which a column that counts them can't be chance."""

FEATURE_BYTES = 4
"""Memory for a feature of an example, as a network reads it."""


def read_table(data: DataConfig) -> Pool:
    """Return the rows of a table as examples: numbers as they are, all else one-hot.

    Raises:
        UserError: the file isn't there or can't be read, a key names a column that it doesn't have,
            or a value is missing or of no use; the message names file, row or column and a remedy.
    """
    assert data.path is not None
    assert data.target is not None
    path = Path(data.path)
    setting = f"data.path={path}"
    file = open_table(path, setting)
    roles = assign_roles(file, data)
    values = {
        name: _values(file, name, role, data) for name, role in roles.items() if role != DROPPED
    }
    num_rows, missing = gather(file, values)
    for name, role in roles.items():
        if role == INPUT:
            check_values(file, name, values[name], named=name in (data.categories or []))
    _check_missing(file, data, values, num_rows)

    cells = {name: of_column.take() for name, of_column in values.items()}
    _check_numbered(file, data, roles, cells)
    kept = _complete(file, cells) if data.missing == "drop" else np.ones(num_rows, bool)
    classes, labels = _classes(file, data.target, values, cells, kept)
    parts = np.full(num_rows, UNDIVIDED, np.int8)
    if data.split_column is not None:
        split = data.split_column
        parts = parts_of(file, split, values[split], cells[split])
    rows = slice(None) if kept.all() else kept
    inputs = {
        name: make_input(name, list(values[name].texts), cells.pop(name)[rows], missing[name])
        for name, role in roles.items()
        if role == INPUT
    }
    layout = _layout(roles, inputs, classes, missing)
    require_memory(setting, float(kept.sum()) * layout.num_features * FEATURE_BYTES)
    return Pool(
        labels=labels[kept],
        parts=parts[kept],
        classes=classes,
        layout=layout,
        blocks=lambda: blocks(list(inputs.values())),
        num_bytes=sum(it.cells.nbytes for it in inputs.values()),
        digest=_digest(file, data),
        source=str(path),
    )


def _check_numbered(
    file: TableFile, data: DataConfig, roles: Mapping[str, str], cells: Mapping[str, NDArray[Any]]
) -> None:
    """Refuse columns that number the rows, unless they are asked for by name."""
    for name, role in roles.items():
        if role == INPUT and name not in (data.columns or []) and _numbers_rows(cells[name]):
            raise UserError(
                f"{file.path}: the column {shown(name)} numbers the rows, which says nothing of a "
                f"new one. Leave it out: data.drop=[{name}]. Or name it in data.columns."
            )


def _numbers_rows(cells: NDArray[Any]) -> bool:
    """Return whether a column counts 0, 1, 2, … or 1, 2, 3, … down a table that isn't tiny."""
    is_counting = len(cells) >= MIN_NUMBERED and cells.dtype == np.float64 and cells[0] in (0, 1)
    return bool(is_counting and np.array_equal(cells, np.arange(len(cells)) + cells[0]))


def _classes(
    file: TableFile,
    target: str,
    values: Mapping[str, Values],
    cells: Mapping[str, NDArray[Any]],
    kept: NDArray[np.bool_],
) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Return the names of the classes and the class of each row, UNKNOWN where it isn't kept."""
    check_target(file, target, values[target], cells[target])
    of_kept = np.where(kept, cells[target], UNKNOWN)
    classes, labels = name_classes(list(values[target].texts), of_kept)
    check_classes(file, target, classes, labels)
    return classes, labels


def _layout(
    roles: Mapping[str, str],
    inputs: Mapping[str, Input],
    classes: tuple[str, ...],
    missing: Mapping[str, int],
) -> Table:
    """Return what became of each column, in the order of the file."""
    others = {
        name: Column(name, role, classes if role == TARGET else (), missing[name])
        for name, role in roles.items()
        if role != INPUT
    }
    return Table(tuple(inputs[name].column if name in inputs else others[name] for name in roles))


def _values(file: TableFile, name: str, role: str, data: DataConfig) -> Values:
    """Return what gathers the values of a column that has a role."""
    if role == TARGET:
        return values_of(file, name, is_text=True, max_texts=MAX_CLASSES)
    if role == SPLIT or name in (data.categories or []):
        return values_of(file, name, is_text=True, max_texts=math.inf)
    return values_of(file, name, is_text=False, max_texts=MAX_CATEGORIES)


def _check_missing(
    file: TableFile, data: DataConfig, values: Mapping[str, Values], num_rows: int
) -> None:
    """Refuse missing values for which there is no rule."""
    missing = {name: it.num_missing for name, it in values.items() if it.num_missing}
    counts = listed(f"{shown(name)} ({number:,})" for name, number in missing.items())
    if missing and data.missing == "error":
        raise UserError(
            f"{file.path}: values are missing in the columns {counts} of {num_rows:,} rows. Say "
            "data.missing=mean for the mean of the training examples, data.missing=drop to leave "
            "such rows out, or leave columns out by data.drop."
        )
    for name, number in missing.items():
        if number == num_rows:
            raise UserError(
                f"{file.path}: the column {shown(name)} has no value at all. Leave it out: "
                f"data.drop=[{name}]."
            )
        if data.missing == "mean" and name in (data.target, data.split_column):
            row, _ = values[name].first["missing"]
            raise UserError(
                f"{file.path}: the column {shown(name)} has no value in {number:,} rows, first in "
                f"{file.place(row)}. There is no mean of it: write one, or say data.missing=drop "
                "to leave such rows out."
            )


def _complete(file: TableFile, cells: Mapping[str, NDArray[Any]]) -> NDArray[np.bool_]:
    """Return in which rows no value is missing."""
    kept = np.ones(len(next(iter(cells.values()))), bool)
    for column in cells.values():
        kept &= ~np.isnan(column) if column.dtype == np.float64 else column != UNKNOWN
    if not kept.any():
        raise UserError(
            f"{file.path}: data.missing=drop leaves no row. Leave columns out by data.drop, or say "
            "data.missing=mean."
        )
    return kept


def _digest(file: TableFile, data: DataConfig) -> str:
    """Return what identifies a file's contents and what is made of them."""
    asked = {key: getattr(data, key) for key in IDENTITY}
    for key in ("columns", "drop", "categories"):
        asked[key] = sorted(asked[key] or [])
    said = json.dumps({"file": file.digest, **asked})
    return hashlib.sha256(said.encode()).hexdigest()
