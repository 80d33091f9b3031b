"""Data sets as tensors, split into training, validation and test examples."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from pipeline.config.schema.data import DataConfig
from pipeline.data.dividing import divide
from pipeline.data.facts import SIZE_KEYS
from pipeline.data.layout import Layout
from pipeline.data.pool import Pool
from pipeline.data.reading import Asked, forget_large, read_pool
from pipeline.data.scaling import Scaling, fit_scaling, joined

__all__ = ["Data", "Split", "commonest_share", "load"]

CHUNK_VALUES = 2**16
"""So many values are scaled at a time, in float64: a processor's cache holds them."""


@dataclass(frozen=True)
class Split:
    """Examples for one purpose. The tensors may be views of shared memory: don't change them.

    Attributes:
        inputs: one example per row, scaled.
        labels: the class of each, int64.
    """

    inputs: Float[Tensor, "examples features"]
    labels: Int[Tensor, " examples"]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, rows: slice) -> Split:
        return Split(self.inputs[rows], self.labels[rows])

    def to(self, device: torch.device | str, dtype: torch.dtype) -> Split:
        """Return these examples on a device, the inputs as `dtype`; labels stay int64."""
        return Split(self.inputs.to(device, dtype), self.labels.to(device))


@dataclass(frozen=True)
class Data:
    """A data set, split.

    Attributes:
        name: an option of conf/data.
        train: what the network learns from.
        val: what choices are made by.
        test: what nothing is chosen by.
        classes: their names; labels are positions in it.
        layout: what the raw inputs are.
        scaling: what has become of them.
        digest: SHA-256 that identifies the raw data.
        source: the folder or file, or the package that brings the data, for people.
    """

    name: str
    train: Split
    val: Split
    test: Split
    classes: tuple[str, ...]
    layout: Layout
    scaling: Scaling
    digest: str
    source: str

    @property
    def num_features(self) -> int:
        """Return the length of one input."""
        return self.train.inputs.shape[1]

    @property
    def num_classes(self) -> int:
        """Return how many classes there are."""
        return len(self.classes)

    def to(self, device: torch.device | str, dtype: torch.dtype) -> Data:
        """Return this data on a device, the inputs as `dtype`; labels stay int64."""
        return replace(
            self,
            train=self.train.to(device, dtype),
            val=self.val.to(device, dtype),
            test=self.test.to(device, dtype),
        )


def commonest_share(split: Split) -> float:
    """Return the accuracy of answering the commonest class to all examples; 0 if there are none."""
    return float(split.labels.bincount().max()) / len(split) if len(split) else 0.0


def load(data: DataConfig, dtype: torch.dtype = torch.float32) -> Data:
    """Return the data that a config asks for, on the CPU; files that are missing are fetched.

    They are made again only when others were loaded in between, or when a file has changed.
    Training, validation and test examples never overlap.

    Args:
        data: which, and how they are divided and scaled.
        dtype: what the inputs become.

    Raises:
        UserError: there are no such data, they can't be used, or are too few.
    """
    return _load(Asked.of(data, (*SIZE_KEYS, "split_seed", "scale")), dtype)


@lru_cache(maxsize=1)
def _load(asked: Asked, dtype: torch.dtype) -> Data:
    data = asked.data
    pool = read_pool(data)
    division = divide(pool, data)
    rows = np.concatenate([division.train, division.val, division.test])
    num_train, num_val = len(division.train), len(division.val)
    inputs, scaling = _scaled(pool, rows, num_train, data, dtype)
    labels = torch.from_numpy(pool.labels[rows])
    whole = Split(inputs, labels)
    forget_large()
    return Data(
        name=data.name,
        train=whole[:num_train],
        val=whole[num_train : num_train + num_val],
        test=whole[num_train + num_val :],
        classes=pool.classes,
        layout=pool.layout,
        scaling=scaling,
        digest=pool.digest,
        source=pool.source,
    )


def _scaled(
    pool: Pool,
    rows: Int[np.ndarray, " examples"],
    num_train: int,
    data: DataConfig,
    dtype: torch.dtype,
) -> tuple[Float[Tensor, "examples features"], Scaling]:
    """Return rows of the examples as inputs, and how they were scaled.

    Little is in memory beside the result: features come in blocks, rows in chunks.
    """
    inputs = torch.empty(len(rows), pool.layout.num_features, dtype=dtype)
    as_array = inputs.numpy()  # which one thread fills faster than several would
    scalings: list[Scaling] = []
    first = 0
    for block in pool.blocks():
        scaling = fit_scaling(
            block, rows[:num_train], data.scale, pool.layout, fills=data.missing == "mean"
        )
        last = first + block.shape[1]
        size = max(1, CHUNK_VALUES // (last - first))
        for start in range(0, len(rows), size):
            chunk = slice(start, start + size)
            as_array[chunk, first:last] = scaling.apply(block[rows[chunk]])
        scalings.append(scaling)
        first = last
    return inputs, joined(scalings)
