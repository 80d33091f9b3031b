"""Finding a data set's files in a folder and reading them, checked."""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
from functools import lru_cache
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from pipeline.data.catalog import DATASETS, Dataset, IdxFile
from pipeline.errors import UserError

__all__ = [
    "READ_ERRORS",
    "Stamp",
    "check",
    "checked",
    "locate",
    "place",
    "read_checked",
    "root_error",
    "stamp",
]

Stamp = tuple[int, int, int]
"""A file's inode, size and time of change."""

READ_ERRORS = (UserError, OSError, EOFError, zlib.error, BadZipFile)
"""What reading a file raises that is out of reach, not compressed, or not what it should be."""


def locate(dataset: Dataset, root: Path) -> dict[IdxFile, Path]:
    """Return where the files of a data set are, without opening them.

    A file may be plain or gzipped (`.gz`), or is as it was published where the catalog says so; in
    `root` itself or where torchvision keeps it, in `root/MNIST/raw` and the like.

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
        paths = (folder / name for folder in folders for name in file.kept_as)
        # lexists: a dangling link is something that the user put there, not an absent file
        path = next(filter(os.path.lexists, paths), None)
        if path is not None:
            found[file] = path
    return found


def stamp(path: Path) -> Stamp | None:
    """Return what changes when a file does; None if it can't be reached, as reading it will say."""
    try:
        status = os.stat(path)  # noqa: PTH116  # called often, and twice as quick
    except (OSError, ValueError):
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def check(file: IdxFile, path: Path) -> None:
    """Check a file as `read_checked` does, but leave compressed what is as it was published.

    Raises:
        UserError: it can't be read or is damaged; the message names it and says what to do.
    """
    if not _is_as_published(file, path):
        read_checked(file, path)


def read_checked(file: IdxFile, path: Path) -> bytes:
    """Return the plain contents of a file, decompressed if its path ends in `.gz` or `.zip`.

    Raises:
        UserError: it can't be read or is damaged; the message names it and says what to do.
    """
    try:
        content = _read(file, path)
        return checked(file, content, md5=_md5_of(path) if path.suffix else "")
    except READ_ERRORS as error:
        remedy = "Move it away; with data.download=true it is then fetched again."
        raise UserError(f"{place(file, path)}: {error}. {remedy}") from error


def place(file: IdxFile, path: Path) -> str:
    """Return where the contents of a file are, for people: its path, and where in a zip."""
    return f"{path}: {_member(file)}" if path.suffix == ".zip" else str(path)


def checked(file: IdxFile, content: bytes, md5: str = "") -> bytes:
    """Return the plain contents of a file, having checked their size and checksum.

    Args:
        file: what they should be.
        content: all of them; one byte more than there should be is enough of what is too long.
        md5: checksum of the compressed file that they are from; "" of a plain one.

    Raises:
        UserError: they are damaged or another file's; the message says what is wrong, not where.
    """
    if len(content) > file.num_bytes:
        raise UserError(f"has more than the expected {file.num_bytes:,} bytes")
    if len(content) < file.num_bytes:
        raise UserError(f"has {len(content):,} bytes, expected {file.num_bytes:,}")
    if md5 and file.checksum == md5:
        return content
    sha256 = hashlib.sha256(content).hexdigest()
    if file.checksum == sha256:
        return content
    for dataset in DATASETS.values():
        if any(other.checksum in (sha256, md5) for other in dataset.files):
            remedy = "give each data set a folder of its own (data.root)"
            raise UserError(f"is a file of the data set {dataset.name}; {remedy}")
    kind, digest = ("MD5", md5) if file.published else ("SHA-256", sha256)
    raise UserError(f"has the {kind} {digest}, expected {file.checksum}")


def _is_as_published(file: IdxFile, path: Path) -> bool:
    try:
        return file.published is not None and _md5_of(path) == file.published.md5
    except OSError:
        return False  # reading it will say what is wrong


def _md5_of(path: Path) -> str:
    """Return the MD5 of a file, computed again only when the file has changed."""
    return _md5(path, stamp(path))


@lru_cache
def _md5(path: Path, stamped: Stamp | None) -> str:
    del stamped  # part of the cache's key
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _read(file: IdxFile, path: Path) -> bytes:
    """Return the plain contents of a file, or a byte more than they should have."""
    if path.suffix == ".zip":
        return _read_zipped(file, path)
    open_file = gzip.open if path.suffix == ".gz" else open
    with open_file(path, "rb") as stream:
        return stream.read(file.num_bytes + 1)


def _read_zipped(file: IdxFile, path: Path) -> bytes:
    """Return the same from a zip, which is opened only if it is as it was published."""
    if not _is_as_published(file, path):
        size = path.stat().st_size
        raise UserError(
            f"the zip has {size:,} bytes and the MD5 {_md5_of(path)}, expected {file.checksum}"
        )
    with ZipFile(path) as archive:
        if _member(file) not in archive.namelist():
            raise UserError("is not in the zip")
        with archive.open(_member(file)) as member, gzip.open(member) as stream:
            return stream.read(file.num_bytes + 1)


def _member(file: IdxFile) -> str:
    """Return a file's path inside a zip."""
    assert file.published is not None
    return f"{file.published.folder}/{file.name}.gz"


def root_error(root: Path, error: OSError) -> UserError:
    """Return the error to raise when the folder itself fails: the key, the path, what to do."""
    return UserError(
        f"data.root={root} can't be used ({error.strerror or error}). Set data.root to a folder "
        "that can be read and, for downloads, written, with room for the files."
    )
