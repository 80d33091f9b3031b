"""Files in the IDX format of the original MNIST, as arrays."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.data.catalog import Dataset, IdxFile
from pipeline.data.files import read_checked

__all__ = ["read_arrays"]


def read_arrays(dataset: Dataset, found: Mapping[IdxFile, Path]) -> list[NDArray[np.uint8]]:
    """Return training images, training labels, test images and test labels, checked."""
    del dataset
    return [_parse(file, read_checked(file, path)) for file, path in found.items()]


def _parse(file: IdxFile, content: bytes) -> NDArray[np.uint8]:
    """Return the values of a file, which follow its header."""
    return np.frombuffer(content, np.uint8)[-math.prod(file.shape) :].reshape(file.shape)
