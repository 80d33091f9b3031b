import hashlib

import numpy as np

from pipeline.data.catalog import find_dataset
from pipeline.data.digits import read_digits


def test_every_fifth_of_each_class_is_for_testing():
    (train_images, train_labels, test_images, test_labels), _ = read_digits()
    assert train_images.shape == (1442, 8, 8)
    assert test_images.shape == (355, 8, 8)
    num_train, num_test = np.bincount(train_labels), np.bincount(test_labels)
    np.testing.assert_array_equal(num_test, (num_train + num_test) // 5)
    assert train_images.max() == test_images.max() == find_dataset("digits").max_pixel


def test_any_run_of_training_examples_mixes_the_classes():
    (_, labels, _, _), _ = read_digits()
    for start in range(0, len(labels) - 100, 50):
        counts = np.bincount(labels[start : start + 100], minlength=10)
        assert counts.min() >= 8
        assert counts.max() <= 12


def test_the_split_never_changes():
    arrays, digest = read_digits()
    assert digest == "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826"
    split = hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()
    assert split == "512622ae25e03d88fef7ae700b6e0e8e925f2de559b967a263b21047c04a6318"
