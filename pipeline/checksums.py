"""SHA256SUMS: what the files of a run were when they were written; `sha256sum -c` reads it too."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pipeline.errors import UserError

__all__ = ["FILE_NAME", "damaged_files", "sha256_of", "write_checksums"]

FILE_NAME = "SHA256SUMS"


def write_checksums(folder: Path) -> None:
    """Write down the checksums of all files of a folder and the folders in it.

    Raises:
        UserError: the file can't be written.
    """
    target = folder / FILE_NAME
    try:
        files = sorted(path for path in folder.rglob("*") if path.is_file() and path != target)
        lines = [f"{sha256_of(path)}  {path.relative_to(folder).as_posix()}\n" for path in files]
        target.write_text("".join(lines))
    except OSError as error:
        raise UserError(
            f"{target}: can't be written ({error.strerror}). Make room there and run again."
        ) from error


def damaged_files(folder: Path) -> list[str]:
    """Return the names of the files that are no longer what was written; missing ones too.

    Args:
        folder: one with SHA256SUMS.
    """
    lines = (folder / FILE_NAME).read_text(errors="replace").splitlines()
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
