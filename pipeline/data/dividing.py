"""Which examples are for training, validation and testing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from pipeline.config.schema.data import DataConfig
from pipeline.data.catalog import check_sizes
from pipeline.data.pool import TEST, TRAIN, UNDIVIDED, VAL, Pool
from pipeline.errors import UserError

__all__ = ["Division", "divide"]

Rows = Int[NDArray[np.int64], " _rows"]


@dataclass(frozen=True)
class Division:
    """The rows of each part, in the order in which they are used."""

    train: Rows
    val: Rows
    test: Rows


def divide(pool: Pool, data: DataConfig) -> Division:
    """Return which examples are for what.

    Where nothing says, each class gives `test_share` of its examples to testing and keeps
    1 - `test_share` - `val_share` of them to train on, both to the nearest example; the rest is for
    validation. Examples come in an order that `split_seed` alone decides.

    Raises:
        UserError: there are fewer examples than asked for, none to train on or test on, or a class
            has none to train on.
    """
    if data.is_divided_here:
        division = _drawn(pool, data)
    else:
        given = pool.of_part(TRAIN)
        division = Division(given, given[::-1], pool.of_part(TEST))
    _check(pool, data, division)
    num_train = len(division.train) if data.num_train is None else data.num_train
    num_val = len(division.val) if data.num_val is None else data.num_val
    val = division.val[:num_val]
    return Division(
        division.train[:num_train], val if data.is_divided_here else val[::-1], division.test
    )


def _drawn(pool: Pool, data: DataConfig) -> Division:
    """Return the parts that the data or `split_seed` say, each in an order of its own."""
    assert data.val_share is not None
    assert data.test_share is not None
    assert data.split_seed is not None
    shuffled = np.argsort(_draws(data.split_seed, len(pool.labels)), kind="stable")
    parts = pool.parts[shuffled].copy()
    has_val, has_test = (bool((pool.parts == part).any()) for part in (VAL, TEST))
    val_share = 0.0 if has_val else data.val_share
    test_share = 0.0 if has_test else data.test_share
    undivided = np.flatnonzero(parts == UNDIVIDED)
    at = _place_in_class(pool.labels[shuffled][undivided])
    parts[undivided] = np.select([at < test_share, at < test_share + val_share], [TEST, VAL], TRAIN)
    return Division(*(shuffled[parts == part] for part in (TRAIN, VAL, TEST)))


def _draws(seed: int, number: int) -> NDArray[np.uint64]:
    """Return numbers that a seed decides, the same with every version of NumPy."""
    return np.random.PCG64(seed).random_raw(number)


def _place_in_class(labels: Int[NDArray[np.int64], " n"]) -> Float[NDArray[np.float64], " n"]:
    """Return where each example stands among those of its class: from 0 to 1, exclusive."""
    by_class = np.argsort(labels, kind="stable")
    _, starts, counts = np.unique(labels[by_class], return_index=True, return_counts=True)
    places = np.empty(len(labels))
    rank = np.arange(len(labels)) - np.repeat(starts, counts)
    places[by_class] = (rank + 0.5) / np.repeat(counts, counts)
    return places


def _check(pool: Pool, data: DataConfig, division: Division) -> None:
    if not data.is_divided_here:
        assert data.num_train is not None
        assert data.num_val is not None
        check_sizes(data.name, data.num_train, data.num_val)
        return
    found = {"train": len(division.train), "val": len(division.val)}
    said = f"data={data.name}"
    for name, part in vars(division).items():
        if name != "val" and not len(part):
            raise UserError(
                f"{said}: no example is for {'training' if name == 'train' else 'testing'}. "
                f"{_remedy(data)}"
            )
    for key, asked in (("train", data.num_train), ("val", data.num_val)):
        if asked is not None and asked > found[key]:
            raise UserError(
                f"data.num_{key}={asked}: there are {found[key]:,} examples for that. Lower it, or "
                "say null for all."
            )
    if data.num_val is None and not found["val"] and data.val_share and data.split_column is None:
        raise UserError(f"{said}: no example is for validation. {_remedy(data)}")
    _check_classes(pool, said, division, data.num_train)


def _check_classes(pool: Pool, said: str, division: Division, num_train: int | None) -> None:
    """Refuse a class that no example trains, unless few examples were asked for."""
    if num_train is not None:
        return
    trained = np.bincount(pool.labels[division.train], minlength=len(pool.classes))
    if not trained.all():
        name = pool.classes[int(trained.argmin())]
        raise UserError(
            f"{said}: no example of the class {name} is for training. Add some, or leave that "
            "class out."
        )


def _remedy(data: DataConfig) -> str:
    if data.split_column is not None:
        return f"Write train, val or test into the column {data.split_column} of every row."
    return "Use more examples, or other shares: data.val_share, data.test_share."
