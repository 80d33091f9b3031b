"""The classes of a table's rows, and what they are for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.data.own.labels import in_order, whole_number
from pipeline.data.own.opening import TableFile, shown
from pipeline.data.own.values import UNKNOWN, Values, is_number
from pipeline.data.pool import TEST, TRAIN, VAL
from pipeline.errors import UserError

__all__ = ["MAX_CLASSES", "check_classes", "check_target", "name_classes", "parts_of"]

MAX_CLASSES = 1000

PARTS = {"train": TRAIN, "val": VAL, "valid": VAL, "validation": VAL, "test": TEST}
"""What a split column may say, in any case."""


def check_target(
    file: TableFile, target: str, values: Values, positions: NDArray[np.int32]
) -> None:
    """Check that a column can hold classes.

    Args:
        file: for messages.
        target: the column's name.
        values: what it holds.
        positions: of the first rows' texts among them, UNKNOWN where one is missing.

    Raises:
        UserError: it holds quantities, or too many different values.
    """
    texts = list(values.texts)
    whole = [whole_number(text) for text in texts]
    numbers = [text.replace(",", ".") if file.decimal_comma else text for text in texts]
    if None in whole and all(map(is_number, numbers)):
        at = whole.index(None)
        row = int((positions == at).argmax())
        raise UserError(
            f"{file.path}: the target {shown(target)} has {shown(texts[at])} in {file.place(row)}: "
            "is it a quantity? Classes must be whole numbers, texts or booleans. Write a class "
            "into a column, such as low or high, and name that one in data.target."
        )
    if values.are_too_many:
        raise UserError(
            f"{file.path}: the target {shown(target)} has more than {MAX_CLASSES:,} different "
            f"values, such as {shown(texts[0])}. Name the column that holds the class in "
            "data.target."
        )


def name_classes(
    texts: Sequence[str], positions: NDArray[np.int32]
) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Return the names of the classes and the class of each row.

    Whole numbers are in numeric order, all else in that of texts.

    Args:
        texts: the different ones that the target holds.
        positions: of each row among them, UNKNOWN where there is no class; it stays UNKNOWN.
    """
    is_used = np.bincount(positions + 1, minlength=len(texts) + 1)[1:] > 0
    used = [text for text, is_class in zip(texts, is_used, strict=True) if is_class]
    if all(whole_number(text) is not None for text in used):
        names = {text: str(whole_number(text)) for text in used}
    elif all(text.lower() in ("true", "false") for text in used):
        names = {text: text.lower() for text in used}
    else:
        names = {text: text for text in used}
    classes = in_order(names.values())
    place = {name: at for at, name in enumerate(classes)}
    labels = [place[names[text]] if text in names else UNKNOWN for text in texts]
    return classes, np.array([*labels, UNKNOWN], np.int64)[positions]


def check_classes(
    file: TableFile, target: str, classes: tuple[str, ...], labels: NDArray[np.int64]
) -> None:
    """Check that there are classes to tell apart, each with examples to learn it from.

    Raises:
        UserError: there is one class, or a class has one example; rows without one don't count.
    """
    counts = np.bincount(labels + 1, minlength=len(classes) + 1)[1:]
    where = f"{file.path}: the target {shown(target)}"
    if len(classes) < 2:
        raise UserError(
            f"{where} has one class only, {', '.join(map(shown, classes))}: there is nothing to "
            "tell apart. Add rows of another one, or name another column in data.target."
        )
    alone = [at for at, count in enumerate(counts) if count == 1]
    if alone:
        row = int((labels == alone[0]).argmax())
        more = f", and of {len(alone) - 1:,} more" if len(alone) > 1 else ""
        raise UserError(
            f"{where} has one example of the class {shown(classes[alone[0]])}, in "
            f"{file.place(row)}{more}. It takes some to train on and to test on: add some, or "
            "leave such rows out."
        )


def parts_of(
    file: TableFile, column: str, values: Values, positions: NDArray[np.int32]
) -> NDArray[np.int8]:
    """Return what each row is for, as the split column says; TRAIN where it says nothing.

    Raises:
        UserError: it says something else than train, val or test.
    """
    parts = [PARTS.get(text.lower()) for text in values.texts]
    if None in parts:
        at = parts.index(None)
        row = int((positions == at).argmax())
        raise UserError(
            f"{file.path}: the split column {shown(column)} has "
            f"{shown(list(values.texts)[at])} in {file.place(row)}: must be train, val or test."
        )
    return np.array([*parts, TRAIN], np.int8)[positions]
