import subprocess
import sys

import pytest

from pipeline.config.options import options
from pipeline.config.schema.data import DIVIDED_HERE
from pipeline.data.catalog import DATASETS, check_sizes, find_dataset
from pipeline.errors import UserError


def test_every_option_of_data_is_a_data_set():
    assert {*DATASETS, *DIVIDED_HERE} == set(options("data"))


def test_sizes_agree_with_files():
    for name in ("mnist", "fashion_mnist"):
        dataset = find_dataset(name)
        train_images, train_labels, test_images, test_labels = dataset.files
        assert train_images.shape == (dataset.num_train, 28, 28)
        assert train_labels.shape == (dataset.num_train,)
        assert test_images.shape == (10_000, 28, 28)
        assert test_labels.shape == (10_000,)
        assert (dataset.num_features, dataset.num_classes) == (784, 10)
        assert [file.num_bytes for file in dataset.files] == [47040016, 60008, 7840016, 10008]


def test_checksums_and_digests_are_distinct():
    files = [file for dataset in DATASETS.values() for file in dataset.files]
    assert len({file.sha256 for file in files}) == len(files) == 8
    assert len({dataset.digest for dataset in DATASETS.values()}) == len(DATASETS)


def test_unknown_name_lists_the_known_and_suggests_the_nearest():
    message = "data.name=mnits: must be one of mnist, fashion_mnist, digits. Did you mean mnist?"
    with pytest.raises(UserError) as caught:
        find_dataset("mnits")
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("num_train", "num_val", "message"),
    [
        (1400, 43, r"together 1443, but the training set of digits has 1442 examples\. Lower one"),
        (1443, 0, r"data\.num_train=1443 and data\.num_val=0: together"),
        (0, 10, r"data\.num_train=0: must be a whole number ≥ 1"),
        (10, -1, r"data\.num_val=-1: must be a whole number ≥ 0"),
    ],
)
def test_sizes_that_do_not_fit(num_train, num_val, message):
    with pytest.raises(UserError, match=message):
        check_sizes("digits", num_train, num_val)


def test_import_is_light():
    code = (
        "import sys, pipeline.data.catalog; "
        "assert not {'torch', 'torchvision', 'sklearn', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
