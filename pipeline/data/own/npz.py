"""Files of arrays as NumPy's savez writes them, read with care: sizes first, and never a pickle."""

from __future__ import annotations

import hashlib
import math
import warnings
import zipfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from pipeline.data.own.opening import require_file
from pipeline.errors import UserError

__all__ = ["Header", "Npz", "opened"]

ENDING = ".npy"

REMEDY = "np.savez(path, x_train=…, y_train=…) writes one."


@dataclass(frozen=True)
class Header:
    """What a file says of one of its arrays."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def num_bytes(self) -> int:
        """Return the size of the array's values."""
        return math.prod(self.shape) * self.dtype.itemsize


@dataclass(frozen=True)
class Npz:
    """An open file of arrays."""

    setting: str
    """What errors begin with, such as "data.path=own.npz"."""
    file: zipfile.ZipFile
    _read: list[str] = field(default_factory=list[str])
    """SHA-256 of each array that was read."""

    @property
    def digest(self) -> str:
        """Return a SHA-256 that identifies the arrays that were read: names, types and values."""
        return hashlib.sha256("\n".join(self._read).encode()).hexdigest()

    @property
    def names(self) -> list[str]:
        """Return the names of the arrays."""
        names = self.file.namelist()
        return [name.removesuffix(ENDING) for name in names if name.endswith(ENDING)]

    def header(self, name: str) -> Header:
        """Return what the file says of an array, and no more is read for it.

        Raises:
            UserError: that can't be read, or is not what the file holds.
        """
        with self._damage(name), self.file.open(name + ENDING) as stream:
            version = npy.read_magic(stream)
            if version != (1, 0):  # what numbers and texts have; a later one may be of any length
                raise ValueError(f"version {version} of the format is for named fields")
            shape, _, dtype = npy.read_array_header_1_0(stream)
            header = Header(name, shape, dtype)
            num_bytes = self.file.getinfo(name + ENDING).file_size - stream.tell()
            is_whole = dtype.hasobject or header.num_bytes == num_bytes
            if min(shape, default=0) < 0 or not is_whole:
                raise ValueError(f"{num_bytes:,} bytes for {dtype} in the shape {shape}")
        return header

    def array(self, name: str) -> NDArray[Any]:
        """Return an array.

        Raises:
            UserError: it is damaged, or holds Python objects.
        """
        with self._damage(name), self.file.open(name + ENDING) as stream:
            array = npy.read_array(stream, allow_pickle=False)
            stream.read()  # so that the checksum is compared
        values = hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()
        self._read.append(f"{values}  {name} {array.dtype.str} {array.shape}")
        return array

    @contextmanager
    def _damage(self, name: str) -> Generator[None]:
        """Say which array is damaged; what is read says so by errors of any kind."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        except Exception as error:
            why = str(error).partition("\n")[0] or type(error).__name__
            raise UserError(
                f"{self.setting}: {name} can't be read ({why}). Write the file again."
            ) from error


@contextmanager
def opened(setting: str, path: Path) -> Generator[Npz]:
    """Open a file of arrays.

    Raises:
        UserError: there is none, or it is of another kind.
    """
    require_file(path)
    try:
        file = zipfile.ZipFile(path)
    except OSError as error:
        raise UserError(
            f"{setting}: can't be read ({error.strerror or error}). It must be an .npz file."
        ) from error
    except Exception as error:  # a damaged directory, in one of many ways
        raise UserError(f"{setting}: is no .npz file. {REMEDY}") from error
    with file:
        yield Npz(setting, file)
