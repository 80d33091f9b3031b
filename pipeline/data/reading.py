"""Reading examples from wherever they are, once as long as nothing changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import cast

import numpy as np

from pipeline.config.options import one_of, options
from pipeline.config.schema.data import OWN, DataConfig
from pipeline.data.catalog import DATASETS, Dataset, find_dataset
from pipeline.data.digits import read_digits
from pipeline.data.fetching import prepare
from pipeline.data.files import Stamp, locate, stamp
from pipeline.data.idx import read_arrays
from pipeline.data.layout import Images
from pipeline.data.pool import TEST, TRAIN, Pool, one_block

__all__ = ["Asked", "forget_large", "read_pool"]

READ_KEYS = (
    "name",
    "root",
    "path",
    "target",
    "columns",
    "drop",
    "categories",
    "missing",
    "split_column",
    "image_size",
    "color",
)
"""The keys of DataConfig that decide what is read; others decide what is made of it."""

LARGE_BYTES = 300e6
"""Examples that take more memory than this are read again rather than kept."""


@dataclass(frozen=True)
class Asked:
    """Data of a config, as the key of a cache: equal where the same files give the same."""

    key: tuple[object, ...]
    data: DataConfig = field(compare=False)

    @classmethod
    def of(cls, data: DataConfig, keys: Sequence[str]) -> Asked:
        """Take some of a config's keys, and what changes when its files do."""
        values = (_hashable(getattr(data, key)) for key in keys)
        return cls((*values, *_stamps(data)), data)


def _hashable(value: object) -> object:
    return tuple(cast("list[object]", value)) if isinstance(value, list) else value


def read_pool(data: DataConfig) -> Pool:
    """Return the examples that a config names; missing files are fetched.

    They are read again only when others were read in between, or when a file has changed.

    Raises:
        UserError: there are none, or they can't be used.
    """
    return _read(Asked.of(data, READ_KEYS))


def forget_large() -> None:
    """Free the memory of large examples that were read, once something is made of them."""
    if any(pool.num_bytes > LARGE_BYTES for pool in _LAST):
        _LAST.clear()
        _read.cache_clear()


_LAST: list[Pool] = []
"""What `_read` remembers."""


@lru_cache(maxsize=1)
def _read(asked: Asked) -> Pool:
    _LAST[:] = [_read_anew(asked.data)]
    return _LAST[0]


def _read_anew(data: DataConfig) -> Pool:
    """Return the examples from the module that reads such data."""
    if data.name in DATASETS:
        return _read_dataset(find_dataset(data.name), data)
    one_of("data.name", data.name, options("data"))
    match data.name:
        case "table":
            from pipeline.data.own.table import read_table

            return read_table(data)
        case "arrays":
            from pipeline.data.own.arrays import read_npz

            return read_npz(data)
        case "images":
            from pipeline.data.own.folder import read_folder

            return read_folder(data)
        case _:
            from pipeline.data.bundled import read_bundled

            return read_bundled(data.name)


def _read_dataset(dataset: Dataset, data: DataConfig) -> Pool:
    """Return the examples of a data set that comes divided into training and test set."""
    root = Path(data.root)
    if dataset.files:
        if len(locate(dataset, root)) < len(dataset.files):
            prepare(data.name, root, download=data.download)
        arrays, digest = read_arrays(dataset, locate(dataset, root)), dataset.digest
    else:
        arrays, digest = read_digits()
    train_images, train_labels, test_images, test_labels = arrays
    inputs = np.concatenate([train_images, test_images]).reshape(-1, dataset.num_features)
    parts = np.repeat(np.array([TRAIN, TEST], np.int8), [len(train_labels), len(test_labels)])
    return Pool(
        labels=np.concatenate([train_labels, test_labels]).astype(np.int64),
        parts=parts,
        classes=dataset.classes,
        layout=Images(
            *dataset.image_shape,
            max_pixel=dataset.max_pixel,
            margin=dataset.margin,
            is_centred=True,
        ),
        blocks=one_block(inputs),
        num_bytes=inputs.nbytes,
        digest=digest,
        source=str(root) if dataset.files else "scikit-learn",
    )


def _stamps(data: DataConfig) -> list[Stamp | None]:
    """Return what changes when one of a config's files does."""
    if data.name in OWN:
        return [stamp(Path(data.path or ""))]
    if data.name in DATASETS:
        return [stamp(path) for path in locate(find_dataset(data.name), Path(data.root)).values()]
    return []
