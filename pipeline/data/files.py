"""Finding a data set's files in a folder and reading them, checked."""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
from pathlib import Path

from pipeline.data.catalog import DATASETS, Dataset, IdxFile
from pipeline.errors import UserError

__all__ = ["READ_ERRORS", "checked", "locate", "read_checked", "root_error"]

READ_ERRORS = (UserError, OSError, EOFError, zlib.error)
"""What reading a file raises that is out of reach, no gzip file, or not what it should be."""


def locate(dataset: Dataset, root: Path) -> dict[IdxFile, Path]:
    """Return where the files of a data set are, without opening them.

    A file may be plain or gzipped (`.gz`), in `root` itself or where torchvision keeps it, in
    `root/MNIST/raw` and the like.

    Returns:
        The path of each file that is there, in the catalog's order; files not found are left out.

    Raises:
        UserError: `root` is no folder or can't be read. A folder that does not exist is merely
            empty.
    """
    if not dataset.files:
        return {}
    try:
        os.listdir(root)  # noqa: PTH208  # only to see whether it can be listed
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise root_error(root, error) from error
    folders = (root, root / dataset.torchvision_folder)
    found: dict[IdxFile, Path] = {}
    for file in dataset.files:
        paths = (folder / f"{file.name}{end}" for folder in folders for end in ("", ".gz"))
        # lexists: a dangling link is something that the user put there, not an absent file
        path = next(filter(os.path.lexists, paths), None)
        if path is not None:
            found[file] = path
    return found


def read_checked(file: IdxFile, path: Path) -> bytes:
    """Return the plain contents of a file, decompressed if its path ends in `.gz`.

    Raises:
        UserError: it can't be read or is damaged; the message names it and says what to do.
    """
    open_file = gzip.open if path.suffix == ".gz" else open
    try:
        with open_file(path, "rb") as stream:
            return checked(file, stream.read(file.num_bytes + 1))
    except READ_ERRORS as error:
        remedy = "Move it away; with data.download=true it is then fetched again."
        raise UserError(f"{path}: {error}. {remedy}") from error


def checked(file: IdxFile, content: bytes) -> bytes:
    """Return the plain contents of a file, having checked their size and checksum.

    Args:
        file: what they should be.
        content: all of them; one byte more than there should be is enough of what is too long.

    Raises:
        UserError: they are damaged or another file's; the message says what is wrong, not where.
    """
    if len(content) > file.num_bytes:
        raise UserError(f"has more than the expected {file.num_bytes:,} bytes")
    if len(content) < file.num_bytes:
        raise UserError(f"has {len(content):,} bytes, expected {file.num_bytes:,}")
    digest = hashlib.sha256(content).hexdigest()
    if digest == file.sha256:
        return content
    for dataset in DATASETS.values():
        if any(other.sha256 == digest for other in dataset.files):
            remedy = "give each data set a folder of its own (data.root)"
            raise UserError(f"is a file of the data set {dataset.name}; {remedy}")
    raise UserError(f"has the SHA-256 {digest}, expected {file.sha256}")


def root_error(root: Path, error: OSError) -> UserError:
    """Return the error to raise when the folder itself fails: the key, the path, what to do."""
    return UserError(
        f"data.root={root} can't be used ({error.strerror or error}). Set data.root to a folder "
        "that can be read and, for downloads, written, with room for the files."
    )
