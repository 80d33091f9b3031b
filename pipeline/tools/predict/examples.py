"""New examples from a file: rows of a table, or numbers without names."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from pipeline.config.options import listed
from pipeline.data.layout import Table
from pipeline.data.own.npz import opened
from pipeline.data.own.opening import FORMATS, open_table
from pipeline.data.own.rows import read_rows
from pipeline.errors import UserError
from pipeline.trained.classifier import Classifier

__all__ = ["Examples", "read_numbers", "read_table"]

MAX_NAMED = 8
"""Columns, or arrays, that an error lists."""


@dataclass(frozen=True)
class Examples:
    """The examples of a file."""

    features: Float[NDArray[np.float64], "rows features"]
    """Raw."""
    place: Callable[[int], str]
    """Returns where people find a row, counted from 0, such as "line 2"."""
    columns: Callable[[], Mapping[str, Sequence[object]]]
    """Reads the columns as they are in the file, by name."""
    labels: list[str] | None = None
    """The class of each, by name, if the file says."""


def read_table(path: Path, network: Classifier) -> Examples:
    """Return the rows of a table.

    Args:
        path: a .csv, .tsv or .parquet file.
        network: that reads its columns.

    Raises:
        UserError: it is none, lacks a column, or holds what the network doesn't know.
    """
    layout = network.layout
    assert isinstance(layout, Table)
    if path.suffix.lower() not in FORMATS:
        names = listed((column.name for column in layout.inputs), MAX_NAMED)
        raise UserError(
            f"{path}: this network reads a table with the columns {names}. Name a .csv, .tsv or "
            ".parquet file."
        )
    features, labels = read_rows(path, layout, fills=network.fills_missing)
    file = open_table(path, str(path))

    def columns() -> dict[str, list[object]]:
        found: dict[str, list[object]] = {name: [] for name in file.names}
        for name, cells in file.pieces():
            found[name] += cells.to_pylist()
        return found

    return Examples(features, file.place, columns, labels)


def read_numbers(path: Path, network: Classifier) -> Examples:
    """Return the numbers of an array x of an .npz file, or of a .csv file without names.

    Args:
        path: the file.
        network: that reads them.

    Raises:
        UserError: it holds something else, or another number of them for each example.
    """
    suffix = path.suffix.lower()
    if suffix not in (".npz", ".csv"):
        raise UserError(
            f"{path}: this network reads {network.num_features} numbers for each example. Name an "
            ".npz file with an array x, or a .csv file of numbers without names."
        )
    array = _read_x(path) if suffix == ".npz" else _read_plain(path)
    if array.ndim < 1 or array.dtype.kind not in "buif" or not array.size:
        raise UserError(f"{path}: x must hold numbers for one example or more.")
    features = array.reshape(len(array), -1).astype(np.float64)
    if features.shape[1] != network.num_features:
        raise UserError(
            f"{path}: has {features.shape[1]} numbers for each example, and the network reads "
            f"{network.num_features}."
        )
    is_bad = ~np.isfinite(features)
    if is_bad.any():
        row, column = np.argwhere(is_bad)[0]
        raise UserError(
            f"{path}: has {features[row, column]} in row {row + 1}, column {column + 1}. Numbers "
            "must be finite."
        )
    return Examples(
        features,
        place=lambda row: f"row {row + 1}",
        columns=lambda: {f"x{at}": values.tolist() for at, values in enumerate(features.T)},
    )


def _read_x(path: Path) -> NDArray[Any]:
    with opened(str(path), path) as file:
        if "x" not in file.names:
            names = listed(file.names, MAX_NAMED) or "nothing"
            raise UserError(f"{path}: holds {names}, but no array x. np.savez(path, x=…) adds it.")
        return file.array("x")


def _read_plain(path: Path) -> NDArray[np.float64]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an empty file is an error here
            return np.loadtxt(path, delimiter=",", ndmin=2)
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path}: can't be read as numbers without names, divided by commas ({error})."
        ) from error
