"""Finding a data set's files in a folder and reading them, checked."""

import gzip
import hashlib
import os
import zlib
from pathlib import Path

from pipeline.data.catalog import DATASETS, Dataset, IdxFile
from pipeline.data.errors import DataError

__all__ = ["check_content", "locate", "read_checked", "read_plain", "root_error"]


def locate(dataset: Dataset, root: Path) -> dict[IdxFile, Path]:
    """Where the files of `dataset` are, without opening them.

    A file may be plain or gzipped (`.gz`), in `root` itself or where torchvision keeps it, in
    `root/MNIST/raw` and the like.

    Returns:
        The path of each file that is there, in the catalog's order; files not found are left out.

    Raises:
        DataError: if `root` is no folder or can't be read. A folder that does not exist is
            merely empty.
    """
    try:
        os.listdir(root)  # noqa: PTH208  # only to see whether it can be listed
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise root_error(root, error) from error
    folders = (root, root / dataset.torchvision_name / "raw")
    found: dict[IdxFile, Path] = {}
    for file in dataset.files:
        candidates = (folder / name for folder in folders for name in _names(file))
        # lexists: a dangling link is something that the user put there, not an absent file
        path = next((path for path in candidates if os.path.lexists(path)), None)
        if path is not None:
            found[file] = path
    return found


def read_checked(file: IdxFile, path: Path) -> bytes:
    """The plain contents of `file`, found at `path`, once its size and checksum are right.

    Raises:
        DataError: if they are not, or if the file can't be read. It names the file, what is
            wrong with it and what to do.
    """
    try:
        content = read_plain(file, path)
        check_content(file, content)
    except DataError as error:
        raise DataError(
            f"{path}: {error}. Move it away; with data.download=true it is then fetched again."
        ) from error
    return content


def read_plain(file: IdxFile, path: Path) -> bytes:
    """The contents of `path`, decompressed if it is called `.gz`, unchecked.

    At most one byte more than `file` should have is read, however large the file.

    Raises:
        DataError: saying why it can't be read.
    """
    open_file = gzip.open if path.suffix == ".gz" else open
    try:
        with open_file(path, "rb") as stream:
            return stream.read(file.num_bytes + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"is truncated or no gzip file ({error})") from error
    except OSError as error:
        raise DataError(f"can't be read ({error.strerror})") from error


def check_content(file: IdxFile, content: bytes) -> None:
    """Raises a `DataError` that says what is wrong unless `content` is that of `file`."""
    if len(content) > file.num_bytes:
        raise DataError(f"has more than the expected {file.num_bytes:,} bytes")
    if len(content) < file.num_bytes:
        raise DataError(f"has {len(content):,} bytes, expected {file.num_bytes:,}")
    found = hashlib.sha256(content).hexdigest()
    if found == file.sha256:
        return
    for dataset in DATASETS.values():
        if any(other.sha256 == found for other in dataset.files):
            raise DataError(
                f"is a file of the data set {dataset.name}; "
                "give each data set a folder of its own (data.root)"
            )
    raise DataError(f"has the SHA-256 {found}, expected {file.sha256}")


def root_error(root: Path, error: OSError) -> DataError:
    """The error to raise when the folder itself fails: names the key, the path, what to do."""
    return DataError(
        f"data.root={root} can't be used ({error.strerror or error}). "
        "Set data.root to a folder that can be read and, for downloads, written."
    )


def _names(file: IdxFile) -> tuple[str, str]:
    return file.name, f"{file.name}.gz"
