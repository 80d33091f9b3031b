"""Files that are there whole or not at all, and the checksums that say whether they still are.

SHA256SUMS, in a run's folder, says what its files were when they were written; `sha256sum -c` reads
it too.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from pipeline.errors import UserError

__all__ = [
    "CHECKSUMS",
    "damaged_files",
    "is_plain_name",
    "sha256_of",
    "write_checksums",
    "write_chunks",
    "write_whole",
]

CHECKSUMS = "SHA256SUMS"


def write_checksums(folder: Path) -> None:
    """Write down the checksums of all files of a folder and the folders in it.

    Raises:
        UserError: the file can't be written.
    """
    target = folder / CHECKSUMS
    try:
        names = sorted(name for name in _names(folder) if name != CHECKSUMS)
        target.write_text("".join(f"{sha256_of(folder / name)}  {name}\n" for name in names))
    except OSError as error:
        raise UserError(
            f"{target}: can't be written ({error.strerror}). Make room there and run again."
        ) from error


def _names(folder: Path, prefix: str = "") -> Iterator[str]:
    """Return the names of the files of a folder and the folders in it."""
    with os.scandir(folder / prefix) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _names(folder, f"{prefix}{entry.name}/")
            elif entry.is_file():
                yield prefix + entry.name


def damaged_files(folder: Path) -> list[str]:
    """Return the names of the files that are no longer what was written; missing ones too.

    Args:
        folder: one with SHA256SUMS.
    """
    lines = (folder / CHECKSUMS).read_text(errors="replace").splitlines()
    digests = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    return [
        name
        for name, digest in digests.items()
        if not (path := folder / name).resolve().is_relative_to(folder.resolve())
        or not path.is_file()
        or sha256_of(path) != digest
    ]


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_whole(path: Path, content: bytes) -> None:
    """Write a file under another name, bring it to the disk, then give it its own name.

    Raises:
        OSError: it can't be written; what was there before is untouched.
    """
    write_chunks(path, [content])


def write_chunks(path: Path, chunks: Iterable[bytes]) -> None:
    """Write a file as `write_whole` does, from chunks that come one by one.

    Raises:
        OSError: it can't be written; what was there before is untouched, then as after any error
            that the chunks raise.
    """
    unfinished = path.with_name(f"{path.name}.tmp")
    try:
        with unfinished.open("wb") as file:
            file.writelines(chunks)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink()
        raise


def is_plain_name(name: str) -> bool:
    """Return whether a name that was read from a store can't lead out of the folder it is for."""
    return re.fullmatch(r"[\w-]+", name) is not None
