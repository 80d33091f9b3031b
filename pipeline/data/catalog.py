"""What is known about each data set before any file is opened."""

import hashlib
import math
from dataclasses import dataclass

from pipeline.data.errors import DataError

__all__ = ["DATASETS", "Dataset", "IdxFile", "find_dataset"]

_IDX_BYTES_PER_DIMENSION = 4


@dataclass(frozen=True)
class IdxFile:
    """A file of unsigned bytes in the IDX format of the original MNIST."""

    name: str
    shape: tuple[int, ...]
    sha256: str
    """Of the plain file, so it is the same whether or not the file is gzipped."""

    @property
    def num_bytes(self) -> int:
        """Size of the plain file: magic number, dimensions, values."""
        header = 4 + _IDX_BYTES_PER_DIMENSION * len(self.shape)
        return header + math.prod(self.shape)


@dataclass(frozen=True)
class Dataset:
    """Sizes and files of one data set."""

    name: str
    num_train: int
    num_test: int
    image_shape: tuple[int, int]
    files: tuple[IdxFile, ...] = ()
    """Training images, training labels, test images, test labels; none if nothing is to fetch."""
    torchvision_name: str = ""
    """The class in `torchvision.datasets`, which is also the folder where it keeps the files."""
    num_classes: int = 10

    @property
    def num_features(self) -> int:
        """Length of one input."""
        return math.prod(self.image_shape)

    @property
    def digest(self) -> str:
        """SHA-256 that identifies the contents of all the files."""
        listing = "".join(f"{file.sha256}  {file.name}\n" for file in self.files)
        return hashlib.sha256(listing.encode()).hexdigest()


def _mnist_like(
    name: str,
    torchvision_name: str,
    *,
    train_images: str,
    train_labels: str,
    test_images: str,
    test_labels: str,
) -> Dataset:
    return Dataset(
        name,
        num_train=60_000,
        num_test=10_000,
        image_shape=(28, 28),
        files=(
            IdxFile("train-images-idx3-ubyte", (60_000, 28, 28), train_images),
            IdxFile("train-labels-idx1-ubyte", (60_000,), train_labels),
            IdxFile("t10k-images-idx3-ubyte", (10_000, 28, 28), test_images),
            IdxFile("t10k-labels-idx1-ubyte", (10_000,), test_labels),
        ),
        torchvision_name=torchvision_name,
    )


# The checksums are of the files that torchvision's mirrors have, decompressed.
DATASETS = {
    dataset.name: dataset
    for dataset in (
        _mnist_like(
            "mnist",
            "MNIST",
            train_images="ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            train_labels="65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            test_images="0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            test_labels="ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
        _mnist_like(
            "fashion_mnist",
            "FashionMNIST",
            train_images="c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            train_labels="bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            test_images="5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            test_labels="0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
        Dataset("digits", num_train=1_442, num_test=355, image_shape=(8, 8)),
    )
}


def find_dataset(name: str) -> Dataset:
    """The data set called `name`.

    Raises:
        DataError: if there is none; the message lists the names that there are.
    """
    if name not in DATASETS:
        raise DataError(f"unknown data set {name!r}; expected one of {', '.join(DATASETS)}")
    return DATASETS[name]
