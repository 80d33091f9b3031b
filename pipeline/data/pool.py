"""Examples as they were read: not divided, not scaled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Int8, UInt8
from numpy.typing import NDArray

from pipeline import memory
from pipeline.data.layout import Layout
from pipeline.errors import UserError

__all__ = [
    "TEST",
    "TRAIN",
    "UNDIVIDED",
    "VAL",
    "Block",
    "Pool",
    "one_block",
    "require_memory",
]

TRAIN, VAL, TEST = 0, 1, 2
UNDIVIDED = -1
"""For training or validation, and for testing unless other examples are: `split_seed` says."""

Block = UInt8[NDArray[np.uint8], "examples _some"] | Float[NDArray[np.floating], "examples _some"]
"""Some neighbouring features of all examples; NaN where a value is missing."""


@dataclass(frozen=True)
class Pool:
    """Examples as they were read: not divided, not scaled."""

    labels: Int[NDArray[np.int64], " examples"]
    """The class of each, as a position in `classes`."""
    parts: Int8[NDArray[np.int8], " examples"]
    """TRAIN, VAL, TEST or UNDIVIDED."""
    classes: tuple[str, ...]
    """The names of the classes."""
    layout: Layout
    """What the features are."""
    blocks: Callable[[], Iterator[Block]]
    """Returns the features block by block, from the first to the last: so large data are never in
    memory twice."""
    num_bytes: int
    """Memory that the examples take as they are kept here."""
    digest: str
    """SHA-256 that identifies the contents and what was made of them."""
    source: str
    """Where they come from, for people."""

    def of_part(self, part: int) -> Int[NDArray[np.int64], " _examples"]:
        """Return the rows of a part, in order."""
        return np.flatnonzero(self.parts == part)


def one_block(inputs: Block) -> Callable[[], Iterator[Block]]:
    """Return what `Pool.blocks` is where all features lie in one array."""
    return lambda: iter([inputs])


def require_memory(setting: str, num_bytes: float) -> None:
    """Refuse data that don't fit into memory, before they are read.

    Args:
        setting: such as "data.path=/home/me/big.csv".
        num_bytes: that reading them will take at most, roughly.

    Raises:
        UserError: with what they need and what there is.
    """
    free_mb, needed_mb = memory.free_mb(), num_bytes / 2**20
    if needed_mb > free_mb:
        raise UserError(
            f"{setting}: takes some {needed_mb:,.0f} MB of memory, and {free_mb:,.0f} MB are free. "
            "Leave out columns or rows that you don't need, or use a machine, container or job "
            "with more memory."
        )
