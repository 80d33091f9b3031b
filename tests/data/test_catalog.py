import re
import subprocess
import sys

import pytest

from pipeline.config.compose import configure
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
    plain = [file.sha256 for set_ in DATASETS.values() for file in set_.files if file.sha256]
    published = {file.published for set_ in DATASETS.values() for file in set_.files} - {None}
    assert len(set(plain)) == len(plain) == 8
    assert len({file.md5 for file in published if file}) == len(published) == 4 + 4 + 1
    assert len({dataset.digest for dataset in DATASETS.values()}) == len(DATASETS)


@pytest.mark.parametrize("name", [name for name in DATASETS if find_dataset(name).files])
def test_files_are_images_and_labels_for_training_and_testing(name: str):
    dataset = find_dataset(name)
    train_images, train_labels, test_images, test_labels = dataset.files
    assert train_images.shape == (dataset.num_train, *dataset.image_shape)
    assert test_images.shape[1:] == dataset.image_shape
    assert train_labels.shape[0] == dataset.num_train
    assert test_labels.shape[0] == test_images.shape[0]


def test_files_that_are_as_published_have_a_checksum_and_an_address_each():
    """The MD5s are torchvision's; what `name` is joined to must be the address."""
    zips = {file.kept_as for name in DATASETS if "emnist_" in name for file in DATASETS[name].files}
    assert zips == {("gzip.zip",)}
    for dataset in DATASETS.values():
        for published in {file.published for file in dataset.files} - {None}:
            assert published is not None
            assert re.fullmatch("[0-9a-f]{32}", published.md5)
            assert dataset.sources[0].startswith("http")


@pytest.mark.parametrize(
    ("name", "num_classes", "some"),
    [
        ("mnist", 10, {0: "0", 9: "9"}),
        ("fashion_mnist", 10, {0: "T-shirt/top", 9: "Ankle boot"}),
        ("kmnist", 10, {0: "o", 9: "wo"}),
        ("qmnist", 10, {9: "9"}),
        ("digits", 10, {9: "9"}),
        ("emnist_balanced", 47, {10: "A", 35: "Z", 36: "a", 38: "d", 46: "t"}),
        ("emnist_bymerge", 47, {10: "A", 35: "Z", 36: "a", 43: "n", 46: "t"}),
        ("emnist_byclass", 62, {9: "9", 10: "A", 35: "Z", 36: "a", 61: "z"}),
        ("emnist_letters", 26, {0: "a", 25: "z"}),
        ("emnist_digits", 10, {0: "0"}),
        ("emnist_mnist", 10, {0: "0"}),
    ],
)
def test_classes_have_names(name: str, num_classes: int, some: dict[int, str]):
    dataset = find_dataset(name)
    assert dataset.num_classes == num_classes == len(set(dataset.classes))
    assert {label: dataset.classes[label] for label in some} == some


@pytest.mark.parametrize("name", DATASETS)
def test_the_default_split_takes_the_whole_training_set(name: str):
    data = configure([f"data={name}"]).data
    assert (data.num_train or 0) + (data.num_val or 0) == find_dataset(name).num_train


def test_unknown_name_lists_the_known_and_suggests_the_nearest():
    message = f"data.name=mnits: must be one of {', '.join(DATASETS)}. Did you mean mnist?"
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
