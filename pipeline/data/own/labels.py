"""Classes and parts of examples: in order, and such that they can be learned."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Int, Int8
from numpy.typing import NDArray

from pipeline.data.pool import TEST, TRAIN, UNDIVIDED, VAL
from pipeline.errors import UserError

__all__ = ["in_order", "require_classes", "settled", "whole_number"]

WHOLE = re.compile(r"([+-]?\d{1,4000})(\.0*)?", re.ASCII)


def whole_number(text: str) -> int | None:
    """Return the whole number that a text is, also one such as 3.0; None if it is none."""
    found = WHOLE.fullmatch(text)
    return int(found[1]) if found else None


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Return each name once, sorted: by value if all of them are whole numbers."""
    unique = sorted(set(names))
    values = {name: number for name in unique if (number := whole_number(name)) is not None}
    return tuple(sorted(unique, key=values.__getitem__) if len(values) == len(unique) else unique)


def settled(parts: Int8[NDArray[np.int8], " examples"]) -> Int8[NDArray[np.int8], " examples"]:
    """Return parts in which nothing is left to divide if there are all three."""
    is_whole = all((parts == part).any() for part in (VAL, TEST))
    return np.where(is_whole & (parts == UNDIVIDED), np.int8(TRAIN), parts)


def require_classes(
    setting: str,
    classes: Sequence[str],
    labels: Int[NDArray[np.int64], " examples"],
    parts: Int8[NDArray[np.int8], " examples"],
    places: Sequence[str],
) -> None:
    """Refuse classes that can't be shown or learned.

    Args:
        setting: where the examples come from, such as "data.path=/home/me/own.npz".
        classes: their names.
        labels: the class of each example.
        parts: what each example is for.
        places: what the user calls the training, validation and test examples.

    Raises:
        UserError: a name can't be printed, there are fewer than two classes, one has no example to
            train on, or a single one that would have to be divided.
    """
    for name in classes:
        if not name.strip() or not name.isprintable():
            raise UserError(
                f"{setting}: {name!r} is no name of a class. Give it one that can be printed."
            )
    if len(classes) < 2:
        raise UserError(
            f"{setting}: there is one class, {classes[0]}. Two are needed, at least, to tell apart."
        )
    _require_training(setting, classes, labels, parts, places)
    num_undivided = np.bincount(labels[parts == UNDIVIDED], minlength=len(classes))
    alone = np.flatnonzero(num_undivided == 1)
    if len(alone):
        more = f", and so have {len(alone) - 1:,} other classes" if len(alone) > 1 else ""
        raise UserError(
            f"{setting}: the class {classes[alone[0]]} has one example{more}; each class is "
            "divided for training and testing. Add examples, or leave that class out."
        )


def _require_training(
    setting: str,
    classes: Sequence[str],
    labels: Int[NDArray[np.int64], " examples"],
    parts: Int8[NDArray[np.int8], " examples"],
    places: Sequence[str],
) -> None:
    is_trained = np.isin(parts, (TRAIN, UNDIVIDED))
    num_trained = np.bincount(labels[is_trained], minlength=len(classes))
    for part in (VAL, TEST):
        for label in np.unique(labels[parts == part]):
            if not num_trained[label]:
                raise UserError(
                    f"{setting}: {places[part]} has the class {classes[label]}, which "
                    f"{places[TRAIN]} lacks. Add examples to train on, or leave that class out."
                )
