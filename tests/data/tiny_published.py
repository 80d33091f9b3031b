"""Tiny data sets whose files are kept as they are published: gzipped, or many in one zip."""

from __future__ import annotations

import gzip
import hashlib
import io
import struct
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.data.catalog import Dataset, IdxFile, Published

_RNG = np.random.default_rng(1)
NUM_TRAIN, NUM_TEST = 30, 6
ZIP = "gzip.zip"


def idx(array: NDArray[np.integer]) -> bytes:
    """An array as a file in the IDX format."""
    code, dtype = (8, ">u1") if array.dtype == np.uint8 else (12, ">i4")
    header = struct.pack(f">HBB{array.ndim}I", 0, code, array.ndim, *array.shape)
    return header + array.astype(dtype).tobytes()


def published(content: bytes, name: str, folder: str = "") -> Published:
    return Published(name, hashlib.md5(content).hexdigest(), folder)


def images(num: int) -> NDArray[np.uint8]:
    return _RNG.integers(0, 256, (num, 4, 3)).astype(np.uint8)


def wide_labels(num: int) -> NDArray[np.int32]:
    """Eight columns as QMNIST's labels have: the class, and what is known of the writer."""
    labels = _RNG.integers(-(2**31), 2**31, (num, 8)).astype(np.int32)
    labels[:, 0] = np.arange(num) % 10
    return labels


ARRAYS = {
    "qtiny-train-images-idx3-ubyte": images(NUM_TRAIN),
    "qtiny-train-labels-idx2-int": wide_labels(NUM_TRAIN),
    "qtiny-test-images-idx3-ubyte": images(NUM_TEST),
    "qtiny-test-labels-idx2-int": wide_labels(NUM_TEST),
}
GZIPPED = {f"{name}.gz": gzip.compress(idx(array), mtime=0) for name, array in ARRAYS.items()}
QTINY = Dataset(
    "qtiny",
    num_train=NUM_TRAIN,
    image_shape=(4, 3),
    classes=tuple("0123456789"),
    files=tuple(
        IdxFile(
            name,
            array.shape,
            published=published(GZIPPED[f"{name}.gz"], f"{name}.gz"),
            dtype="uint8" if array.dtype == np.uint8 else "int32",
        )
        for name, array in ARRAYS.items()
    ),
    torchvision_folder="QTiny/raw",
)

SPLITS = ("balanced", "byclass", "bymerge", "digits", "letters", "mnist")
FIRST_LABELS = {split: int(split == "letters") for split in SPLITS}


def _arrays_of_split(split: str) -> dict[str, NDArray[np.uint8]]:
    """What is in the zip: images that lie on their side, and labels."""
    arrays: dict[str, NDArray[np.uint8]] = {}
    for part, num in (("train", NUM_TRAIN), ("test", NUM_TEST)):
        arrays[f"etiny-{split}-{part}-images-idx3-ubyte"] = images(num).swapaxes(1, 2)
        labels = (np.arange(num) % 10 + FIRST_LABELS[split]).astype(np.uint8)
        arrays[f"etiny-{split}-{part}-labels-idx1-ubyte"] = labels
    return arrays


ARRAYS_OF_SPLIT = {split: _arrays_of_split(split) for split in SPLITS}


def zipped(contents: dict[str, bytes]) -> bytes:
    """A zip with gzipped files in a folder, the same in every process."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in contents.items():
            member = zipfile.ZipInfo(f"gzip/{name}.gz")
            archive.writestr(member, gzip.compress(content, mtime=0), zipfile.ZIP_DEFLATED)
    return stream.getvalue()


CONTENTS_OF_ZIP = {
    name: idx(array) for arrays in ARRAYS_OF_SPLIT.values() for name, array in arrays.items()
}
ZIPPED = zipped(CONTENTS_OF_ZIP)


def _etiny(split: str) -> Dataset:
    archive = published(ZIPPED, ZIP, "gzip")
    return Dataset(
        f"etiny_{split}",
        num_train=NUM_TRAIN,
        image_shape=(4, 3),
        classes=tuple("abcdefghij"),
        files=tuple(
            IdxFile(name, array.shape, published=archive)
            for name, array in ARRAYS_OF_SPLIT[split].items()
        ),
        first_label=FIRST_LABELS[split],
        is_transposed=True,
        torchvision_folder="ETiny/raw",
    )


ETINY = {split: _etiny(split) for split in SPLITS}


def with_zip(dataset: Dataset, content: bytes) -> Dataset:
    """The same data set, published in another zip."""
    archive = published(content, ZIP, "gzip")
    files = tuple(replace(file, published=archive) for file in dataset.files)
    return replace(dataset, files=files)


def with_content(dataset: Dataset, nth: int, content: bytes) -> tuple[Dataset, Path, bytes]:
    """The same data set, one of whose gzipped files was published with other contents.

    Returns:
        The data set, the file's name, and its compressed contents.
    """
    compressed = gzip.compress(content)
    file = dataset.files[nth]
    other = replace(file, published=published(compressed, f"{file.name}.gz"))
    files = (*dataset.files[:nth], other, *dataset.files[nth + 1 :])
    return replace(dataset, files=files), Path(f"{file.name}.gz"), compressed


def write_published(folder: Path) -> None:
    """The files of QTINY and of ETINY."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in {**GZIPPED, ZIP: ZIPPED}.items():
        (folder / name).write_bytes(content)
