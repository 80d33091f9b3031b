"""The theory of Problems 1 to 3: every claim computed, by the code that trains where it can be."""

from pipeline.theory.batch_size import Comparison, compare_batch_sizes
from pipeline.theory.check import check_all
from pipeline.theory.claim import Claim, Verdict
from pipeline.theory.figures import write_figures
from pipeline.theory.table import batch_size_table, claim_table

__all__ = [
    "Claim",
    "Comparison",
    "Verdict",
    "batch_size_table",
    "check_all",
    "claim_table",
    "compare_batch_sizes",
    "write_figures",
]
