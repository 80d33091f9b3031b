"""The tables of the theory: the claims, and the mini-batch sizes compared."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.report.table import Table
from pipeline.theory.batch_size import NUM_EPOCHS, Best, Comparison
from pipeline.theory.claim import Claim, Outcome

__all__ = ["batch_size_table", "claim_table"]

STYLES = {
    Outcome.ERRATUM: "yellow",
    Outcome.CONTRADICTED: "yellow",
    Outcome.UNDECIDED: "yellow",
    Outcome.FAILS: "bold red",
}
"""The outcomes of claims that stand out."""


def claim_table(claims: Sequence[Claim]) -> Table:
    """Return one row per claim."""
    return Table(
        ["problem", "claim", "published", "computed", "verdict"],
        [[c.problem, c.statement, c.published, c.computed, c.outcome] for c in claims],
        title="Problems 1 to 3",
        highlights={i: STYLES[c.outcome] for i, c in enumerate(claims) if c.outcome in STYLES},
        unbroken=["problem", "verdict"],
    )


def batch_size_table(comparison: Comparison) -> Table:
    """Return one row per mini-batch size: what Problem 1.2 is judged by."""
    header = [
        "mini-batch size",
        "µs per update",
        "kB per update",
        "cosine with full gradient",
        f"training loss after {NUM_EPOCHS} epochs",
        f"after {comparison.seconds:g} s of updates",
    ]
    rows = [
        [
            f"{measurement.size:,}",
            f"{measurement.mean_update_s * 1e6:,.0f}",
            f"{measurement.update_bytes / 1e3:,.1f}",
            f"{measurement.cosine_mean:.2f} ± {measurement.cosine_std:.2f}",
            _loss(measurement.after_epochs),
            _loss(measurement.after_time),
        ]
        for measurement in comparison.measurements
    ]
    title = f"Problem 1.2: {comparison.num_examples:,} images of {comparison.data_name}"
    note = (
        "Losses are means over orders of the examples. Seconds, and the losses after them, are "
        "those of one thread of one machine: what decides is how many times as long a larger "
        "update takes there."
    )
    return Table(header, rows, "r" * len(header), title, note)


def _loss(best: Best) -> str:
    return f"{best.loss:.3f} (η = {best.rate:.2g})"
