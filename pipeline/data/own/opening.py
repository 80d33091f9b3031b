"""A user's table, whatever format it has, as pieces of its columns."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import UserError

__all__ = [
    "FORMATS",
    "KEPT_BYTES",
    "MOUNTED",
    "TableFile",
    "check_names",
    "open_table",
    "require_file",
    "shown",
]

FORMATS = (".csv", ".tsv", ".parquet")

MOUNTED = "A container, or a node of a cluster, sees only what is mounted or shared with it."

KEPT_BYTES = 14
"""Memory for each value of a table: 8 bytes in float64, 4 as a network reads it, and a share of
what is scaled at a time; 14.2 to 14.8 with all else by `python -m benchmarks.own_data`."""

MAX_SHOWN = 40
"""So many characters of a value stand in a message at most."""


@dataclass(frozen=True)
class TableFile:
    """A table that lies in a file, not yet read."""

    path: Path
    digest: str
    """SHA-256 of the file."""
    names: tuple[str, ...]
    """The names of its columns, in their order, each once."""
    types: tuple[Any, ...]
    """What pyarrow says that each column holds."""
    pieces: Callable[[], Iterator[tuple[str, Any]]]
    """Returns pieces of the columns, with whose they are: each column's in order of the rows, as
    arrays of pyarrow."""
    place: Callable[[int], str]
    """Returns where people find a row, counted from 0: "line 7" of a text."""
    decimal_comma: bool = False
    """A number may be written as 1,5."""


def open_table(path: Path, setting: str) -> TableFile:
    """Open a file of the format that its suffix says.

    Args:
        path: where it lies.
        setting: what named it, for messages about memory.

    Raises:
        UserError: there is none, or it is no table.
    """
    require_file(path)
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise UserError(
            f"{path}: its name must end in {', '.join(FORMATS[:-1])} or {FORMATS[-1]}. "
            "Save it as one of these."
        )
    try:
        if suffix == ".parquet":
            from pipeline.data.own.parquet import open_parquet

            return open_parquet(path, setting)
        from pipeline.data.own.delimited import open_delimited

        return open_delimited(path, setting)
    except OSError as error:
        raise UserError(f"{path}: can't be read ({error.strerror or error}).") from error


def require_file(path: Path) -> None:
    """Check that a path leads to a file that can be read.

    Raises:
        UserError: there is none, it is a folder or something else, or may not be read.
    """
    try:
        is_there = path.exists()
    except (OSError, ValueError) as error:  # too long, a folder that may not be entered, a zero
        raise UserError(f"{path}: can't be read ({error}).") from error
    if not is_there and path.is_symlink():
        raise UserError(f"{path}: is a link to {path.readlink()}, which isn't there. {MOUNTED}")
    if not is_there:
        raise UserError(f"{path}: there is no such file in {Path.cwd()}. {MOUNTED}")
    if path.is_dir():
        raise UserError(f"{path}: is a folder. Name a file in it.")
    if not path.is_file():
        raise UserError(f"{path}: is no file, but a device or a pipe. Save its contents first.")
    if not os.access(path, os.R_OK):
        raise UserError(f"{path}: you may not read it. Ask its owner, or copy it.")


def check_names(path: Path, names: Sequence[str]) -> None:
    """Check that each column has a name of its own, on one line.

    Raises:
        UserError: one has none, or two have the same.
    """
    for number, name in enumerate(names, start=1):
        if not name:
            numbered = " (pandas' to_csv(index=False) writes none)" if number == 1 else ""
            raise UserError(
                f"{path}: column {number} has no name. Give it one, or remove it{numbered}."
            )
        if name.splitlines() != [name]:
            raise UserError(
                f"{path}: the name of column {number}, {shown(name)}, is of several lines. Write "
                "it on one, or close its quotes."
            )
    name, times = Counter(names).most_common(1)[0]
    if times > 1:
        numbers = [str(number) for number, other in enumerate(names, start=1) if other == name]
        raise UserError(
            f"{path}: {times} columns are called {shown(name)} (columns {', '.join(numbers[:9])}). "
            "Give each a name of its own."
        )


def shown(value: str) -> str:
    """Return a text as messages show it: in quotes, on one line and not too long."""
    short = value if len(value) <= MAX_SHOWN else f"{value[: MAX_SHOWN - 1]}…"
    return repr(short)
