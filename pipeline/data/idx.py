"""The IDX format: a magic number, the dimensions, then the values, all big-endian."""

import math
import struct

import numpy as np
from numpy.typing import NDArray

from pipeline.data.errors import DataError

__all__ = ["parse_idx"]

_UNSIGNED_BYTE = 0x08


def parse_idx(content: bytes, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The array of unsigned bytes in an IDX file.

    Args:
        content: all bytes of the plain file.
        shape: the shape that the array must have.

    Returns:
        A read-only array of that shape, which shares memory with `content`.

    Raises:
        DataError: if `content` is something else; it says what was found and what expected.
    """
    header = struct.Struct(f">HBB{len(shape)}I")
    if len(content) < header.size:
        raise DataError(f"has {len(content)} bytes, too few for an IDX header of {header.size}")
    zero, value_type, num_dimensions, *dimensions = header.unpack_from(content)
    if (zero, value_type, num_dimensions) != (0, _UNSIGNED_BYTE, len(shape)):
        expected = struct.pack(">HBB", 0, _UNSIGNED_BYTE, len(shape))
        raise DataError(f"starts with {content[:4].hex()}, expected {expected.hex()}")
    if tuple(dimensions) != shape:
        raise DataError(f"has the shape {tuple(dimensions)}, expected {shape}")
    num_values = len(content) - header.size
    if num_values != math.prod(shape):
        raise DataError(f"has {num_values:,} values, expected {math.prod(shape):,}")
    return np.frombuffer(content, np.uint8, offset=header.size).reshape(shape)
