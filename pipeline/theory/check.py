"""All claims of Problems 1 to 3 in their order."""

from __future__ import annotations

from pipeline.theory.batch_size import Comparison, check_batch_sizes
from pipeline.theory.claim import Claim
from pipeline.theory.cross_entropy import check_cross_entropy
from pipeline.theory.descent import check_descent
from pipeline.theory.linear_network import check_linear_network
from pipeline.theory.matrix_form import check_matrix_form
from pipeline.theory.worked_example import check_worked_example

__all__ = ["check_all"]


def check_all(comparison: Comparison) -> list[Claim]:
    """Check every claim of Problems 1.1, 1.2, 2 and 3.

    Args:
        comparison: what `compare_batch_sizes` has measured, for Problem 1.2.
    """
    return [
        *check_descent(),
        *check_batch_sizes(comparison),
        *check_matrix_form(),
        *check_linear_network(),
        *check_cross_entropy(),
        *check_worked_example(),
    ]
