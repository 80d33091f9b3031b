r"""confusion.csv: how often each class was taken for which, under the names of the classes.

Its first line is `true\predicted` and the names; then each true class has a line, its name and its
counts. Names that hold commas, quotes or line breaks are quoted (RFC 4180).
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from pipeline.errors import UserError
from pipeline.trained.artifacts import fetch_checked

if TYPE_CHECKING:
    from pipeline.tracking.store import Store

__all__ = [
    "CONFUSION_FILE",
    "Confusion",
    "distinct_labels",
    "fetch_confusion",
    "read_confusion",
    "shares_of_true",
    "shown_classes",
    "write_confusion",
]

CONFUSION_FILE = "confusion.csv"

CORNER = "true\\predicted"

MAX_BYTES = 2**26
"""A larger file is not read: five thousand classes need less."""

MAX_EXAMPLES = 2**53
"""Examples that a table counts, at most: sums of many tables don't overflow."""

MAX_CLASSES = 64
"""Classes whose names fit beside each other on an axis."""

MOST_CONFUSED = 24
"""Classes that are shown of more than that."""


@dataclass(frozen=True)
class Confusion:
    """How often each class was taken for which.

    Attributes:
        counts: examples by true class (rows) and predicted class (columns).
        classes: the names of the classes, all different.
    """

    counts: Int[np.ndarray, "classes classes"]
    classes: list[str]


def write_confusion(
    path: Path, counts: Int[np.ndarray, "classes classes"], classes: Sequence[str]
) -> None:
    """Write a table of confusions as a CSV file.

    Args:
        path: the file.
        counts: examples by true class (rows) and predicted class (columns).
        classes: the names of the classes.

    Raises:
        OSError: it can't be written.
    """
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([CORNER, *classes])
    writer.writerows([name, *row] for name, row in zip(classes, counts.tolist(), strict=True))
    path.write_bytes(text.getvalue().encode("utf-8", "backslashreplace"))


def read_confusion(path: Path) -> Confusion:
    """Return the table of confusions that a CSV file holds.

    Raises:
        OSError: it can't be read.
        UserError: it is no such table: its names or its sizes don't agree, or something in it is
            no count.
    """
    if path.stat().st_size > MAX_BYTES:
        raise _damaged(path, f"it has more than {MAX_BYTES:,} bytes")
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return _parsed(csv.reader(file, strict=True))
    except (ValueError, csv.Error) as error:
        raise _damaged(path, str(error)) from error


def _damaged(path: Path, why: str) -> UserError:
    return UserError(
        f"{path.name} is damaged ({why}). Put back the file that the run wrote, or train it again."
    )


def _parsed(lines: Iterator[list[str]]) -> Confusion:
    """Return the table that lines make; a ValueError says why they make none."""
    corner, *classes = next(lines, None) or [""]
    if corner != CORNER:
        raise ValueError(f"it doesn't begin with {CORNER}")
    if len(set(classes)) < max(len(classes), 1):
        raise ValueError("its first line names no class, or one twice")
    rows = [_counts(line, name, len(classes)) for name, line in zip(classes, lines, strict=False)]
    if len(rows) < len(classes) or next(lines, None) is not None:
        raise ValueError(f"it must have {len(classes)} lines of counts, one for each class")
    if sum(map(sum, rows)) > MAX_EXAMPLES:
        raise ValueError(f"it counts more than {MAX_EXAMPLES:,} examples")
    return Confusion(np.array(rows, dtype=np.int64), classes)


def _counts(line: Sequence[str], name: str, num_classes: int) -> list[int]:
    """Return the counts of the line of a true class."""
    if len(line) != num_classes + 1 or line[0] != name:
        raise ValueError(f"the line of the class {name[:40]!r} isn't its name and a count for each")
    counts = list(map(int, line[1:]))
    if min(counts) < 0:
        raise ValueError(f"a count of the class {name[:40]!r} is negative")
    return counts


def fetch_confusion(store: Store, run_id: str) -> Confusion | None:
    """Return a run's table of confusions, checked against its checksum; None if it has none.

    Raises:
        UserError: it is damaged.
    """
    if CONFUSION_FILE not in store.artifact_names(run_id):
        return None
    with TemporaryDirectory() as temporary:
        path = fetch_checked(store, run_id, CONFUSION_FILE, Path(temporary))
        try:
            return read_confusion(path)
        except UserError as error:
            raise UserError(f"{run_id}: its {error}") from error


def shares_of_true(
    counts: Int[np.ndarray, "classes predicted"],
) -> Float[np.ndarray, "classes predicted"]:
    """Return the share of each true class's examples; 0 where a class has none."""
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)


def distinct_labels(classes: Sequence[str], shorten: Callable[[str], str]) -> list[str]:
    """Return short names of classes; those that would be alike begin with the class's number."""
    labels = [shorten(name) for name in classes]
    times = Counter(labels)
    return [
        label if times[label] == 1 else f"{number}: {label}" for number, label in enumerate(labels)
    ]


def shown_classes(counts: Int[np.ndarray, "classes classes"]) -> tuple[list[int], str]:
    """Return which classes a figure shows, in their order, and what to say if they aren't all.

    Of too many, those that have the most frequent confusions.
    """
    if len(counts) <= MAX_CLASSES:
        return list(range(len(counts))), ""
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    frequent = np.argsort(-wrong, axis=None, kind="stable")[: MOST_CONFUSED**2]
    pairs = np.stack(np.unravel_index(frequent, wrong.shape), axis=1)
    confused: list[int] = list(dict.fromkeys(pairs.ravel().tolist()))[:MOST_CONFUSED]
    return sorted(confused), f"the {MOST_CONFUSED} most confused of {len(counts):,} classes"
