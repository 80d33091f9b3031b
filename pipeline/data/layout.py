"""What the raw inputs of a network are: an image's pixels, an array's numbers, a table's columns.

It travels with the weights, as JSON, so that whoever uses a network knows what to feed it with.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import accumulate
from typing import Any

__all__ = [
    "CATEGORY",
    "NUMBER",
    "Column",
    "Images",
    "Layout",
    "Numbers",
    "Table",
    "as_json",
    "column_list",
    "from_json",
]

NUMBER, CATEGORY = "number", "category"


@dataclass(frozen=True)
class Images:
    """Raw pixels, row by row; those of an image in colour three by three."""

    height: int
    width: int
    channels: int = 1
    """1 for brightness, 3 for red, green and blue."""
    max_pixel: int = 255
    """The largest raw pixel; the smallest is 0."""
    margin: int = 0
    """How many pixels around what an image shows are empty, at least."""
    is_centred: bool = False
    """An image shows one thing, light on dark, centred and as large as the margin leaves room."""

    @property
    def num_features(self) -> int:
        """Return the length of one input."""
        return self.height * self.width * self.channels


@dataclass(frozen=True)
class Numbers:
    """Numbers without a meaning that is known, as an array has them."""

    num_features: int


@dataclass(frozen=True)
class Column:
    """A column of a table and what becomes of it."""

    name: str
    kind: str
    """number (a feature), category (a feature of 0 or 1 for each of its values), target, split
    (says which part a row belongs to) or dropped."""
    values: tuple[str, ...] = ()
    """A category's values as text, in the order of its features; the names of the target's classes,
    in theirs."""
    num_missing: int = 0
    """How many rows of the file have no value here."""

    @property
    def features(self) -> list[str]:
        """Return the names of the features that it becomes, such as "age" or "color=red"."""
        if self.kind == NUMBER:
            return [self.name]
        return [f"{self.name}={value}" for value in self.values] if self.kind == CATEGORY else []

    @property
    def is_boolean(self) -> bool:
        """Return whether its values are true and false, or one of the two."""
        return bool(self.values) and {value.lower() for value in self.values} <= {"true", "false"}


@dataclass(frozen=True)
class Table:
    """The columns of a table, also those that are no inputs, in the order of the file."""

    columns: tuple[Column, ...]

    @property
    def inputs(self) -> list[Column]:
        """Return the columns that the network reads."""
        return [column for column in self.columns if column.features]

    @property
    def num_features(self) -> int:
        """Return the length of one input."""
        return sum(len(column.features) for column in self.columns)

    @property
    def slices(self) -> dict[str, slice]:
        """Return where in an input the features of each column are, by its name."""
        sizes = {column.name: len(column.features) for column in self.inputs}
        ends = accumulate(sizes.values())
        return {name: slice(end - sizes[name], end) for name, end in zip(sizes, ends, strict=True)}


Layout = Images | Numbers | Table

_KINDS = {"images": Images, "numbers": Numbers, "table": Table}


def column_list(layout: Table) -> str:
    """Return what became of each column, for people: a table as CSV.

    The values are those of a category, or the classes.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["column", "kind", "features", "missing", "values"])
    for column in layout.columns:
        sizes = (len(column.features), column.num_missing)
        writer.writerow([column.name, column.kind, *sizes, ", ".join(column.values)])
    return text.getvalue()


def as_json(layout: Layout) -> dict[str, Any]:
    """Return a layout as JSON can hold it."""
    (kind,) = (name for name, of_kind in _KINDS.items() if type(layout) is of_kind)
    return {"kind": kind, **asdict(layout)}


def from_json(said: Mapping[str, Any]) -> Layout:
    """Return the layout that `as_json` has written.

    Raises:
        KeyError, TypeError: it was written by something else.
    """
    values = {key: value for key, value in said.items() if key != "kind"}
    if said["kind"] == "table":
        return Table(tuple(map(_column, values["columns"])))
    return _KINDS[said["kind"]](**values)


def _column(said: dict[str, Any]) -> Column:
    values: tuple[str, ...] = tuple(said["values"])
    return Column(said["name"], said["kind"], values, said["num_missing"])
