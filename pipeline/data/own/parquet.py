"""Parquet files as batches of columns."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.data.own.arrow import ArrowError, pa, parquet, types
from pipeline.data.own.opening import KEPT_BYTES, TableFile, check_names, shown
from pipeline.data.pool import require_memory
from pipeline.errors import UserError

__all__ = ["open_parquet"]

BUFFER_BYTES = 2**20


def open_parquet(path: Path, setting: str) -> TableFile:
    """Read what a Parquet file says of itself.

    Args:
        path: a file that is there.
        setting: what named it, for messages about memory.

    Raises:
        UserError: it is no Parquet file, or damaged.
    """
    with _damage(path), parquet.ParquetFile(path) as file:
        metadata, schema = file.metadata, file.schema_arrow
        groups = (metadata.row_group(number) for number in range(metadata.num_row_groups))
        largest = max((group.total_byte_size for group in groups), default=0)
    names = tuple(schema.names)
    check_names(path, names)
    num_values = metadata.num_rows * len(names)
    require_memory(setting, float(num_values * KEPT_BYTES + largest))
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return TableFile(
        path=path,
        digest=digest,
        names=names,
        types=tuple(schema.types),
        pieces=lambda: _pieces(path),
        place=lambda row: f"row {row + 1}",
    )


def _pieces(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield the columns of each group of rows, so that no more than one is decoded at a time."""
    with _damage(path), parquet.ParquetFile(path, buffer_size=BUFFER_BYTES) as file:
        for group in range(file.num_row_groups):
            num_rows = file.metadata.row_group(group).num_rows
            for name in file.schema_arrow.names:
                table = file.read_row_group(group, columns=[name], use_threads=False)
                if table.num_rows != num_rows:
                    raise ValueError(f"the column {shown(name)} has lost rows")
                for cells in table.column(name).chunks:
                    cells.validate(full=True)
                    yield name, _plain(cells)


def _plain(array: Any) -> Any:
    """Return an array without what only some of pyarrow's functions know."""
    if types.is_dictionary(array.type):
        return _plain(array.dictionary_decode())
    if types.is_string_view(array.type):
        return array.cast(pa.large_string())
    return array


@contextmanager
def _damage(path: Path) -> Generator[None]:
    """Say of a file that pyarrow can't read that it is damaged."""
    try:
        yield
    except UserError:
        raise
    except (ArrowError, OSError, ValueError) as error:
        why = (str(error).splitlines() or [""])[0].rstrip(".")
        raise UserError(
            f"{path}: is no Parquet file, or a damaged one ({why}). Write or copy it again."
        ) from error
