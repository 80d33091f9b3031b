"""Problem 1.2: mini-batches of one example against larger ones, measured."""

from pipeline.theory.batch_size.claims import check_batch_sizes
from pipeline.theory.batch_size.comparison import (
    NUM_EPOCHS,
    NUM_EXAMPLES,
    SECONDS,
    Best,
    Comparison,
    Measurement,
    compare_batch_sizes,
)

__all__ = [
    "NUM_EPOCHS",
    "NUM_EXAMPLES",
    "SECONDS",
    "Best",
    "Comparison",
    "Measurement",
    "check_batch_sizes",
    "compare_batch_sizes",
]
