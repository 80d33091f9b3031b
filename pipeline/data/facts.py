"""What a config's data amount to, before any of it becomes a tensor: sizes, classes, contents."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from pipeline.config.schema.data import DataConfig
from pipeline.data.catalog import DATASETS, check_sizes, find_dataset
from pipeline.data.dividing import divide
from pipeline.data.reading import READ_KEYS, Asked, read_pool

__all__ = ["SIZE_KEYS", "Facts", "find_facts"]

SIZE_KEYS = (*READ_KEYS, "num_train", "num_val", "val_share", "test_share")
"""The keys of DataConfig that decide how many examples are for what; split_seed says only which."""


@dataclass(frozen=True)
class Facts:
    """What a config's data amount to."""

    num_train: int
    """How many examples a network is trained on."""
    num_val: int
    """How many choices are made by."""
    num_features: int
    """The length of one input."""
    num_classes: int
    digest: str
    """SHA-256 of the contents and what is made of them; "" for what is part of a package."""


def find_facts(data: DataConfig) -> Facts:
    """Return what a config's data amount to. A user's own are read for it, once.

    Raises:
        UserError: there are no such data, they can't be used, or are too few.
    """
    if data.name in DATASETS:
        assert data.num_train is not None
        assert data.num_val is not None
        return _of_dataset(data.name, data.num_train, data.num_val)
    return _of_pool(Asked.of(data, SIZE_KEYS))


@lru_cache
def _of_dataset(name: str, num_train: int, num_val: int) -> Facts:
    """Return what is known without reading a file."""
    check_sizes(name, num_train, num_val)
    dataset = find_dataset(name)
    digest = dataset.digest if dataset.files else ""
    return Facts(num_train, num_val, dataset.num_features, dataset.num_classes, digest)


@lru_cache
def _of_pool(asked: Asked) -> Facts:
    pool = read_pool(asked.data)
    division = divide(pool, replace(asked.data, split_seed=0))
    return Facts(
        len(division.train),
        len(division.val),
        pool.layout.num_features,
        len(pool.classes),
        pool.digest,
    )
