"""Data sets as tensors, split into training, validation and test examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pipeline.data.catalog import Dataset, IdxFile, check_sizes, find_dataset
from pipeline.data.digits import read_digits
from pipeline.data.fetching import prepare
from pipeline.data.files import locate
from pipeline.data.idx import read_arrays

__all__ = ["Data", "Split", "load"]


@dataclass(frozen=True)
class Split:
    """Examples for one purpose. The tensors may be views of shared memory: don't change them.

    Attributes:
        inputs: one flattened image per row, values in [0, 1].
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
        name: as in the catalog.
        train: what the network learns from.
        val: what choices are made by.
        test: the data set's own test set, whole.
        num_classes: labels go from 0 to this, exclusive.
        digest: SHA-256 that identifies the raw data.
        source: the folder of the files, or the package that brings the data, for people.
    """

    name: str
    train: Split
    val: Split
    test: Split
    num_classes: int
    digest: str
    source: str

    @property
    def num_features(self) -> int:
        """Return the length of one input."""
        return self.train.inputs.shape[1]

    def to(self, device: torch.device | str, dtype: torch.dtype) -> Data:
        """Return this data on a device, the inputs as `dtype`; labels stay int64."""
        return replace(
            self,
            train=self.train.to(device, dtype),
            val=self.val.to(device, dtype),
            test=self.test.to(device, dtype),
        )


def load(
    name: str,
    root: Path,
    *,
    num_train: int,
    num_val: int,
    download: bool,
    dtype: torch.dtype = torch.float32,
) -> Data:
    """Return a data set, after `prepare` if files are missing.

    The files' sizes and checksums are checked each time that they are read. They are read again
    only when another data set or dtype was loaded in between, or when they have changed.

    Args:
        name: one of `pipeline.data.catalog.DATASETS`.
        root: the folder of the files; not used by `digits`.
        num_train: how many examples to train on, at least 1: the first of the training set.
        num_val: how many to validate on, at least 0: the last of the training set.
        download: whether files that are missing may be fetched.
        dtype: what the inputs become.

    Returns:
        The data on the CPU. Training and validation examples never overlap.

    Raises:
        UserError: the training set is too small for both counts, a count is out of range, or the
            files are not to be had (see `prepare`).
    """
    dataset = find_dataset(name)
    check_sizes(name, num_train, num_val)
    found = locate(dataset, root)
    if len(found) < len(dataset.files):
        prepare(name, root, download=download)
        found = locate(dataset, root)
    stamps = tuple(_stamp(path) for path in found.values())
    train, test, digest = _read(dataset, tuple(found.items()), stamps, dtype)
    return Data(
        name=name,
        train=train[:num_train],
        val=train[len(train) - num_val :],
        test=test,
        num_classes=dataset.num_classes,
        digest=digest,
        source=str(root) if dataset.files else "scikit-learn",
    )


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """Return what changes when a file does."""
    try:
        status = path.stat()
    except OSError:
        return None  # reading it will say what is wrong
    return status.st_ino, status.st_size, status.st_mtime_ns


@lru_cache(maxsize=1)
def _read(
    dataset: Dataset,
    found: Sequence[tuple[IdxFile, Path]],
    stamps: Sequence[object],  # part of the cache's key: a changed file is read again
    dtype: torch.dtype,
) -> tuple[Split, Split, str]:
    """Return training and test set, whole, and the raw data's digest."""
    del stamps
    if dataset.files:
        arrays, digest = read_arrays(dataset, dict(found)), dataset.digest
    else:
        arrays, digest = read_digits()
    train_images, train_labels, test_images, test_labels = map(torch.tensor, arrays)
    train_inputs, test_inputs = (
        images.flatten(1).to(dtype).div_(dataset.max_pixel)
        for images in (train_images, test_images)
    )
    return Split(train_inputs, train_labels.long()), Split(test_inputs, test_labels.long()), digest
