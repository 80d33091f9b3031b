"""Text files of rows: what is wrong with their bytes, and on which line a row begins."""

from __future__ import annotations

import codecs
import csv
import hashlib
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from pipeline.errors import UserError

__all__ = ["MAX_LINE_BYTES", "Scan", "rows", "scan"]

MAX_LINE_BYTES = 16 * 2**20
"""A line that is longer than this is no row of a table."""

PIECE_BYTES = 2**18
UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
MAGIC = {
    b"PK\x03\x04": ("an Excel workbook or a ZIP archive", "Save the table in it as CSV."),
    b"\xd0\xcf\x11\xe0": ("an Excel workbook", "Save the table in it as CSV."),
    b"PAR1": ("a Parquet file", "Let its name end in .parquet."),
    b"\x1f\x8b": ("compressed", "Decompress it with gunzip."),
    b"\x89PNG": ("a PNG image", "For folders of images choose data=images."),
}
"""How files begin that are no text, what they are and what to do."""

TO_UTF_8 = "Save it as UTF-8, such as with: iconv -f {} -t UTF-8 OLD > NEW"
END = "end"


@dataclass(frozen=True)
class Scan:
    """What one pass over the bytes of a text file has found."""

    digest: str
    """SHA-256 of them."""
    longest_line: int
    """Bytes that a line has at most."""
    num_quotes: int


def scan(path: Path) -> Scan:
    """Read a file once, a piece at a time, to see whether it is text.

    Raises:
        UserError: it isn't UTF-8, holds bytes that no text holds, or a line is too long.
        OSError: it can't be read.
    """
    digest = hashlib.sha256()
    decoder = codecs.getincrementaldecoder("utf-8")()
    num_lines = num_quotes = open_line = longest = 0
    with path.open("rb") as file:
        _check_beginning(path, file.read(max(map(len, MAGIC))))
        file.seek(0)
        while piece := file.read(PIECE_BYTES):
            digest.update(piece)
            _check_text(path, piece, decoder, num_lines)
            longest = max(longest, open_line + _first_end(piece))
            if longest > MAX_LINE_BYTES:
                raise UserError(
                    f"{path}: line {num_lines + 1} is longer than {MAX_LINE_BYTES // 2**20} MiB. "
                    "Each row must be a line of its own."
                )
            last_end = max(piece.rfind(b"\n"), piece.rfind(b"\r"))
            open_line = len(piece) - last_end - 1 + (open_line if last_end < 0 else 0)
            num_lines += piece.count(b"\n")
            num_quotes += piece.count(b'"')
    _check_text(path, b"", decoder, num_lines)
    return Scan(digest.hexdigest(), max(longest, open_line, PIECE_BYTES), num_quotes)


def _check_beginning(path: Path, beginning: bytes) -> None:
    if beginning.startswith(UTF_16):
        raise UserError(f"{path}: is UTF-16. {TO_UTF_8.format('UTF-16')}")
    for magic, (what, remedy) in MAGIC.items():
        if beginning.startswith(magic):
            raise UserError(f"{path}: is {what}, no text. {remedy}")


def _first_end(piece: bytes) -> int:
    """Return how many bytes stand before the first end of a line."""
    ends = [at for end in (b"\n", b"\r") if (at := piece.find(end)) >= 0]
    return min(ends, default=len(piece))


def _check_text(
    path: Path, piece: bytes, decoder: codecs.IncrementalDecoder, num_lines: int
) -> None:
    """Refuse what is no text; the decoder holds the beginning of a letter that goes on."""
    zero = piece.find(b"\0")
    if zero >= 0:
        line = num_lines + piece.count(b"\n", 0, zero) + 1
        raise UserError(
            f"{path}: line {line} holds a zero byte, so it is no text, or UTF-16. "
            f"{TO_UTF_8.format('UTF-16')}"
        )
    if piece.isascii() and piece and not decoder.getstate()[0]:
        return
    try:
        decoder.decode(piece, final=not piece)
    except UnicodeDecodeError as error:
        line = num_lines + error.object.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{path}: line {line} isn't UTF-8 (byte 0x{error.object[error.start]:02x}). "
            f"{TO_UTF_8.format('WINDOWS-1252')}"
        ) from error


def rows(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the line on which each row begins, the header's first, and its values.

    Empty lines are passed over.

    Raises:
        UserError: a quote isn't closed.
    """
    with path.open(encoding="utf-8-sig", newline="") as file, _values_of_any_length():
        lines = _Lines(path, file)
        reader = csv.reader(lines, delimiter=delimiter)
        line, row = 1, list[str]()
        for values in reader:
            if row:
                yield line, row
            line, row = lines.begin_row(), values
        if row != [END]:
            raise _unclosed_quote(path, line)


class _Lines:
    """The lines of a file and then END, which is a row of its own if all quotes are closed."""

    def __init__(self, path: Path, lines: Iterable[str]) -> None:
        self._path = path
        self._lines = chain(lines, [END])
        self._number = 0
        self._row_begins, self._row_length = 1, 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self._row_length > MAX_LINE_BYTES:
            raise _unclosed_quote(self._path, self._row_begins)
        line = next(self._lines)
        self._number += 1
        self._row_length += len(line)
        return line

    def begin_row(self) -> int:
        """Return the line on which the row began that has just ended, and begin another one."""
        began, self._row_begins, self._row_length = self._row_begins, self._number + 1, 0
        return began


def _unclosed_quote(path: Path, line: int) -> UserError:
    """Return the error to raise when a value goes on to the end, or for too long."""
    return UserError(f"{path}: line {line} opens a quote that isn't closed. Close it.")


@contextmanager
def _values_of_any_length() -> Generator[None]:
    before = csv.field_size_limit(2**31 - 1)
    try:
        yield
    finally:
        csv.field_size_limit(before)
