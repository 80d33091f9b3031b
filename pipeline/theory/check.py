"""All claims of Problems 1 to 3 in their order."""

from __future__ import annotations

import logging
from collections.abc import Callable

from pipeline.theory.batch_size import Comparison, check_batch_sizes
from pipeline.theory.claim import Claim
from pipeline.theory.cross_entropy import check_cross_entropy
from pipeline.theory.descent import check_descent
from pipeline.theory.linear_network import check_linear_network
from pipeline.theory.matrix_form import check_matrix_form
from pipeline.theory.slips import check_slips
from pipeline.theory.worked_example import check_worked_example

__all__ = ["check_all"]

log = logging.getLogger("pipeline")


def check_all(comparison: Comparison) -> list[Claim]:
    """Check every claim of Problems 1.1, 1.2, 2 and 3; return them in the text's order.

    Args:
        comparison: what `compare_batch_sizes` has measured, for Problem 1.2.
    """
    parts: dict[str, Callable[[], list[Claim]]] = {
        "1.1, gradient descent": check_descent,
        "1.2, batch sizes": lambda: check_batch_sizes(comparison),
        "2, the matrix form": check_matrix_form,
        "2, a linear network": check_linear_network,
        "2, slips of the pen": check_slips,
        "3, cross-entropy": check_cross_entropy,
        "3, the worked example": check_worked_example,
    }
    claims: list[Claim] = []
    for name, check in parts.items():
        log.info("checking Problem %s", name)
        claims += check()
    return sorted(claims, key=lambda claim: claim.problem)
