"""The arrays in a data set's files: the IDX format of the original MNIST, checked."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64, UInt8
from numpy.typing import NDArray

from pipeline.data.catalog import Dataset, IdxFile
from pipeline.data.files import place, read_checked
from pipeline.errors import UserError

__all__ = ["read_arrays"]

_TYPES = {"uint8": (0x08, ">u1"), "int32": (0x0C, ">i4")}
"""The format's code of a type, and numpy's name of it as the format has it: big end first."""


def read_arrays(dataset: Dataset, found: Mapping[IdxFile, Path]) -> list[NDArray[Any]]:
    """Return the images and labels of a data set.

    Args:
        dataset: what the files should hold.
        found: where each of its files is, see `pipeline.data.files.locate`.

    Returns:
        Training images (examples, height, width), uint8, upright; training labels (examples,),
        int64, from 0 for the first class; test images; test labels.

    Raises:
        UserError: a file is damaged or holds something else; the message names it.
    """
    train_images, train_labels, test_images, test_labels = (
        (file, found[file]) for file in dataset.files
    )
    return [
        _images(dataset, *train_images),
        _labels(dataset, *train_labels),
        _images(dataset, *test_images),
        _labels(dataset, *test_labels),
    ]


def _images(
    dataset: Dataset, file: IdxFile, path: Path
) -> UInt8[NDArray[np.uint8], "examples height width"]:
    images = _values(file, path)
    return np.ascontiguousarray(images.swapaxes(1, 2)) if dataset.is_transposed else images


def _labels(dataset: Dataset, file: IdxFile, path: Path) -> Int64[NDArray[np.int64], " examples"]:
    """Return the labels of a file; of several columns the first one has them."""
    values = _values(file, path)
    labels = values.reshape(len(values), -1)[:, 0].astype(np.int64) - dataset.first_label
    outside = np.flatnonzero((labels < 0) | (labels >= dataset.num_classes))
    if outside.size:
        example, last = outside[0], dataset.first_label + dataset.num_classes - 1
        raise UserError(
            f"{place(file, path)}: example {example} (from 0) has the label "
            f"{labels[example] + dataset.first_label}, but those of {dataset.name} go from "
            f"{dataset.first_label} to {last}."
        )
    return labels


def _values(file: IdxFile, path: Path) -> NDArray[Any]:
    """Return the numbers of a file, whose header must announce just those."""
    content = read_checked(file, path)
    code, dtype = _TYPES[file.dtype]
    size = len(content) - math.prod(file.shape) * np.dtype(dtype).itemsize
    expected = struct.pack(f">HBB{len(file.shape)}I", 0, code, len(file.shape), *file.shape)
    if content[:size] != expected:
        raise UserError(
            f"{place(file, path)}: begins with {content[:size].hex(' ', 4)}, expected "
            f"{expected.hex(' ', 4)}: IDX of {file.dtype}, {' x '.join(map(str, file.shape))}."
        )
    return np.frombuffer(content, dtype, offset=size).reshape(file.shape)
