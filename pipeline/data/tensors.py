"""Data sets as tensors, split into training, validation and test examples."""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from pipeline.data.catalog import Dataset, IdxFile, find_dataset
from pipeline.data.digits import MAX_PIXEL, read_digits
from pipeline.data.errors import DataError
from pipeline.data.files import locate, read_checked
from pipeline.data.idx import parse_idx
from pipeline.data.preparation import prepare

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

    def to(self, device: torch.device | str, dtype: torch.dtype) -> "Split":
        """These examples on `device`, the inputs as `dtype`; labels stay int64."""
        return Split(self.inputs.to(device, dtype), self.labels.to(device))


@dataclass(frozen=True)
class Data:
    """A data set, split.

    Attributes:
        name: as in the catalog.
        train: what the network learns from.
        val: what choices are made by.
        test: the data set's own test set, whole.
        image_shape: height and width, whose product is the number of features.
        digest: SHA-256 that identifies the raw data.
        source: the folder of the files, or the package that brings the data, for people.
        num_classes: labels go from 0 to this, exclusive.
    """

    name: str
    train: Split
    val: Split
    test: Split
    image_shape: tuple[int, int]
    digest: str
    source: str
    num_classes: int = 10

    @property
    def num_features(self) -> int:
        """Length of one input."""
        return math.prod(self.image_shape)

    def to(self, device: torch.device | str, dtype: torch.dtype) -> "Data":
        """This data on `device`, the inputs as `dtype`; labels stay int64."""
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
    """Loads a data set, after `prepare` if files are missing.

    The files' sizes and checksums are checked each time that they are read. They are read again
    only when another data set or dtype was loaded in between, or when they have changed.

    Args:
        name: one of `pipeline.data.catalog.DATASETS`.
        root: the folder of the files; not used by `digits`.
        num_train: how many examples to train on, at least 1: the first of the training set.
        num_val: how many to validate on, at least 0: the last of the training set.
        download: whether files that are missing may be fetched.
        dtype: of the inputs.

    Returns:
        The data on the CPU. Training and validation examples never overlap.

    Raises:
        DataError: if the training set is too small for both counts, a count is out of range, or
            the files are not to be had (see `prepare`).
    """
    dataset = find_dataset(name)
    _check_counts(dataset, num_train, num_val)
    if dataset.files:
        found = locate(dataset, root)
        if len(found) < len(dataset.files):
            prepare(name, root, download=download)
            found = locate(dataset, root)
        stamps = tuple(_Stamp.of(file, path) for file, path in found.items())
        train, test = _load_files(stamps, dtype)
        digest, source = dataset.digest, str(root)
    else:
        train, test, digest = _load_digits(dtype)
        source = "scikit-learn"
    return Data(
        name=name,
        train=_rows(train, slice(num_train)),
        val=_rows(train, slice(len(train) - num_val, None)),
        test=test,
        image_shape=dataset.image_shape,
        digest=digest,
        source=source,
    )


def _rows(split: Split, rows: slice) -> Split:
    return Split(split.inputs[rows], split.labels[rows])


def _check_counts(dataset: Dataset, num_train: int, num_val: int) -> None:
    if num_train < 1 or num_val < 0:
        raise DataError(
            f"data.num_train={num_train}, data.num_val={num_val}: "
            "expected at least 1 and at least 0"
        )
    if num_train + num_val > dataset.num_train:
        raise DataError(
            f"data.num_train={num_train} and data.num_val={num_val} make {num_train + num_val} "
            f"examples, but the training set of {dataset.name} has {dataset.num_train}; "
            "lower one of them"
        )


@dataclass(frozen=True)
class _Stamp:
    """A file as it is now: equal stamps mean that it need not be read again."""

    file: IdxFile
    path: Path
    inode: int
    num_bytes: int
    modified_ns: int

    @classmethod
    def of(cls, file: IdxFile, path: Path) -> "_Stamp":
        try:
            status = path.stat()
        except OSError as error:
            raise DataError(f"{path}: can't be read ({error.strerror}). Move it away.") from error
        return cls(file, path, status.st_ino, status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=1)
def _load_files(stamps: tuple[_Stamp, ...], dtype: torch.dtype) -> tuple[Split, Split]:
    """Training and test set, whole, of four files in the catalog's order."""
    arrays: list[NDArray[np.uint8]] = []
    for stamp in stamps:
        content = read_checked(stamp.file, stamp.path)
        try:
            arrays.append(parse_idx(content, stamp.file.shape))
        except DataError as error:
            raise DataError(f"{stamp.path} {error}") from error
    return _as_splits(arrays, 255, dtype)


@functools.lru_cache(maxsize=1)
def _load_digits(dtype: torch.dtype) -> tuple[Split, Split, str]:
    arrays, digest = read_digits()
    return *_as_splits(arrays, MAX_PIXEL, dtype), digest


def _as_splits(
    arrays: Sequence[NDArray[np.uint8]], max_pixel: int, dtype: torch.dtype
) -> tuple[Split, Split]:
    train_images, train_labels, test_images, test_labels = arrays
    return (
        _as_split(train_images, train_labels, max_pixel, dtype),
        _as_split(test_images, test_labels, max_pixel, dtype),
    )


def _as_split(
    images: NDArray[np.uint8], labels: NDArray[np.uint8], max_pixel: int, dtype: torch.dtype
) -> Split:
    inputs = torch.tensor(images.reshape(len(images), -1)).to(dtype).div_(max_pixel)
    return Split(inputs, torch.tensor(labels, dtype=torch.int64))
