"""scikit-learn's bundled 8x8 digits, split once and for all."""

from __future__ import annotations

import hashlib
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

__all__ = ["read_digits"]

_TEST_EVERY = 5
_GOLDEN_RATIO = 0.6180339887498949


def read_digits() -> tuple[list[NDArray[np.uint8]], str]:
    """Return the digits, split into 1,442 training and 355 test examples.

    The set has no test set of its own. Here every fifth example of each class is for testing.
    The order of the others goes round the classes and, within a class, by steps of the golden
    ratio through the file, which is sorted by writer. So any run of training examples, such as
    the last hundred, has about as many of each class and of each writer. No seed and no random
    generator has a part in this.

    Returns:
        Training images (1442, 8, 8) with values 0 to 16, training labels (1442,), test images
        (355, 8, 8), test labels (355,); and the SHA-256 of all images and labels in file order.
    """
    from sklearn.datasets import load_digits  # pyright: ignore[reportMissingTypeStubs]  # has none

    bunch = cast("Any", load_digits())
    images: NDArray[np.uint8] = bunch.images.astype(np.uint8)
    labels: NDArray[np.uint8] = bunch.target.astype(np.uint8)
    digest = hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()

    nth_of_class = np.zeros(len(labels), np.int64)
    for label in np.unique(labels):
        members = labels == label
        nth_of_class[members] = np.arange(members.sum())
    is_test = nth_of_class % _TEST_EVERY == _TEST_EVERY - 1

    order = np.lexsort((labels, nth_of_class * _GOLDEN_RATIO % 1))
    train = order[~is_test[order]]
    return [images[train], labels[train], images[is_test], labels[is_test]], digest
