"""What is read from IDX files, plain, gzipped and zipped, and what is refused."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from pipeline.data.catalog import Dataset
from pipeline.data.files import locate
from pipeline.data.idx import read_arrays
from pipeline.errors import UserError
from tests.data import tiny_mnist
from tests.data.tiny_published import (
    ARRAYS,
    ARRAYS_OF_SPLIT,
    CONTENTS_OF_ZIP,
    ETINY,
    FIRST_LABELS,
    QTINY,
    SPLITS,
    ZIP,
    idx,
    with_content,
    with_zip,
    write_published,
    zipped,
)

IMAGES, LABELS, *_ = ARRAYS.values()


def read(dataset: Dataset, root: Path) -> list[np.ndarray]:
    return read_arrays(dataset, locate(dataset, root))


def refusal(dataset: Dataset, root: Path) -> str:
    with pytest.raises(UserError) as caught:
        read(dataset, root)
    return str(caught.value)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_published(tmp_path)
    return tmp_path


def test_mnists_format(tmp_path: Path):
    tiny_mnist.write_plain(tmp_path)
    arrays = read(tiny_mnist.TINY, tmp_path)
    for array, expected in zip(arrays, tiny_mnist.ARRAYS.values(), strict=True):
        assert np.array_equal(array, expected)


def test_the_first_column_of_int32_labels_is_the_class(root: Path):
    images, labels, test_images, test_labels = read(QTINY, root)
    expected = list(ARRAYS.values())
    assert np.array_equal(images, expected[0])
    assert np.array_equal(test_images, expected[2])
    assert labels.tolist() == expected[1][:, 0].tolist()
    assert test_labels.tolist() == expected[3][:, 0].tolist()
    assert (images.dtype, labels.dtype) == (np.uint8, np.int64)


@pytest.mark.parametrize("split", SPLITS)
def test_images_are_turned_upright_and_labels_begin_at_zero(root: Path, split: str):
    images, labels, test_images, test_labels = read(ETINY[split], root)
    raw = list(ARRAYS_OF_SPLIT[split].values())
    assert images.shape == (30, 4, 3)
    assert test_images.shape == (6, 4, 3)
    assert all(images[0, row, column] == raw[0][0, column, row] for row, column in np.ndindex(4, 3))
    assert np.array_equal(test_images, raw[2].swapaxes(1, 2))
    assert labels.tolist() == [*range(10)] * 3
    assert test_labels.tolist() == (raw[3].astype(int) - FIRST_LABELS[split]).tolist()


@pytest.mark.parametrize(
    ("nth", "header", "message"),
    [
        (0, (0, 13, 3, 30, 4, 3), "begins with 00000d03 0000001e"),
        (0, (0, 8, 3, 30, 3, 4), "expected 00000803 0000001e 00000004 00000003: IDX of uint8, "),
        (0, (1, 8, 3, 30, 4, 3), "30 x 4 x 3."),
        (1, (0, 12, 2, 60, 4), "IDX of int32, 30 x 8."),
        (1, (0, 8, 2, 30, 8), "begins with 00000802"),
    ],
)
def test_a_header_of_other_numbers_is_refused(root: Path, nth: int, header, message: str):
    array = list(ARRAYS.values())[nth]
    num_dimensions = len(header) - 3
    content = struct.pack(f">HBB{num_dimensions}I", *header) + idx(array)[4 + 4 * num_dimensions :]
    dataset, name, compressed = with_content(QTINY, nth, content)
    (root / name).write_bytes(compressed)
    said = refusal(dataset, root)
    assert said.startswith(f"{root / name}: ")
    assert message in said


@pytest.mark.parametrize("label", [-1, 10, 2**31 - 1])
def test_a_label_out_of_range_is_named_with_its_file(root: Path, label: int):
    labels = LABELS.copy()
    labels[7, 0] = label
    dataset, name, compressed = with_content(QTINY, 1, idx(labels))
    (root / name).write_bytes(compressed)
    assert refusal(dataset, root) == (
        f"{root / name}: example 7 (from 0) has the label {label}, but those of qtiny go from 0 "
        "to 9."
    )


@pytest.mark.parametrize("label", [0, 11])
def test_labels_from_one_have_their_own_range(tmp_path: Path, label: int):
    name = "etiny-letters-test-labels-idx1-ubyte"
    labels = ARRAYS_OF_SPLIT["letters"][name].copy()
    labels[2] = label
    content = zipped(CONTENTS_OF_ZIP | {name: idx(labels)})
    (tmp_path / ZIP).write_bytes(content)
    assert refusal(with_zip(ETINY["letters"], content), tmp_path) == (
        f"{tmp_path / ZIP}: gzip/{name}.gz: example 2 (from 0) has the label {label}, but those of "
        "etiny_letters go from 1 to 10."
    )


def test_a_zip_without_a_file_of_the_data_set(tmp_path: Path):
    name = "etiny-mnist-train-images-idx3-ubyte"
    content = zipped({key: value for key, value in CONTENTS_OF_ZIP.items() if key != name})
    (tmp_path / ZIP).write_bytes(content)
    said = refusal(with_zip(ETINY["mnist"], content), tmp_path)
    assert said.startswith(f"{tmp_path / ZIP}: gzip/{name}.gz: is not in the zip. Move it away")
    assert read(with_zip(ETINY["digits"], content), tmp_path)[0].shape == (30, 4, 3)


def test_a_zip_that_is_none(tmp_path: Path):
    (tmp_path / ZIP).write_bytes(b"no zip")
    assert "File is not a zip file" in refusal(with_zip(ETINY["mnist"], b"no zip"), tmp_path)


@pytest.mark.parametrize("num_bytes", [10**8, 5])
def test_more_or_fewer_bytes_than_expected_are_not_read_on(tmp_path: Path, num_bytes: int):
    name = "etiny-mnist-train-images-idx3-ubyte"
    content = zipped(CONTENTS_OF_ZIP | {name: bytes(num_bytes)})
    (tmp_path / ZIP).write_bytes(content)
    said = refusal(with_zip(ETINY["mnist"], content), tmp_path)
    assert (
        "more than the expected 376" if num_bytes > 376 else "has 5 bytes, expected 376"
    ) in said


def test_a_file_that_has_changed_is_checked_again(root: Path):
    assert read(QTINY, root)[0].shape == (30, 4, 3)
    path = root / "qtiny-train-images-idx3-ubyte.gz"
    content = idx(IMAGES[::-1])
    _, _, compressed = with_content(QTINY, 0, content)
    path.write_bytes(compressed)
    assert "has the MD5" in refusal(QTINY, root)
