import subprocess
import sys

import pytest

from pipeline.data import DataError
from pipeline.data.catalog import DATASETS, find_dataset


def test_sizes_agree_with_files():
    for name in ("mnist", "fashion_mnist"):
        dataset = find_dataset(name)
        train_images, train_labels, test_images, test_labels = dataset.files
        assert train_images.shape == (dataset.num_train, *dataset.image_shape)
        assert train_labels.shape == (dataset.num_train,)
        assert test_images.shape == (dataset.num_test, *dataset.image_shape)
        assert test_labels.shape == (dataset.num_test,)
        assert [file.num_bytes for file in dataset.files] == [47040016, 60008, 7840016, 10008]


def test_checksums_and_digests_are_distinct():
    files = [file for dataset in DATASETS.values() for file in dataset.files]
    assert len({file.sha256 for file in files}) == len(files) == 8
    assert len({dataset.digest for dataset in DATASETS.values()}) == len(DATASETS)


def test_unknown_name_lists_the_known():
    with pytest.raises(DataError, match="'mnits'; expected one of mnist, fashion_mnist, digits"):
        find_dataset("mnits")


def test_import_is_light():
    code = (
        "import sys, pipeline.data.catalog; "
        "assert not {'torch', 'torchvision', 'sklearn', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
