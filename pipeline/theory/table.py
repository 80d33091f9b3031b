"""The tables for the terminal: the claims, and the mini-batch sizes compared."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from pipeline.theory.batch_size import NUM_EPOCHS, Best, Comparison
from pipeline.theory.claim import Claim, Outcome

__all__ = ["batch_size_rows", "batch_size_table", "claim_table"]

STYLES = {
    Outcome.HOLDS: "green",
    Outcome.ERRATUM: "yellow",
    Outcome.SUPPORTED: "green",
    Outcome.CONTRADICTED: "yellow",
    Outcome.FAILS: "bold red",
}


def claim_table(claims: Sequence[Claim]) -> Table:
    """Return one row per claim."""
    table = Table(title=Text("Problems 1 to 3", style="bold"), title_justify="left")
    table.add_column("problem", no_wrap=True)
    table.add_column("claim", ratio=3)
    table.add_column("published", ratio=2)
    table.add_column("computed", ratio=3)
    table.add_column("verdict", no_wrap=True)
    for claim in claims:
        table.add_row(
            claim.problem,
            Text(claim.statement),
            Text(claim.published),
            Text(claim.computed),
            Text(claim.outcome, style=STYLES[claim.outcome]),
        )
    return table


def batch_size_rows(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    """Return the headings and one row per mini-batch size: what Problem 1.2 is judged by."""
    headings = [
        "mini-batch size",
        "µs per update",
        "cosine with full gradient",
        f"training loss after {NUM_EPOCHS} epochs",
        f"after {comparison.seconds:g} s of updates",
    ]
    rows = [
        [
            f"{measurement.size:,}",
            f"{measurement.update_s * 1e6:,.0f}",
            f"{measurement.cosine_mean:.2f} ± {measurement.cosine_std:.2f}",
            _loss(measurement.after_epochs),
            _loss(measurement.after_time),
        ]
        for measurement in comparison.measurements
    ]
    return headings, rows


def batch_size_table(comparison: Comparison) -> Table:
    """Return the same for the terminal."""
    title = f"Problem 1.2: {comparison.num_examples:,} images of {comparison.data_name}"
    table = Table(title=Text(title, style="bold"), title_justify="left")
    headings, rows = batch_size_rows(comparison)
    for heading in headings:
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(*row)
    return table


def _loss(best: Best) -> str:
    return f"{best.loss:.3f} (η = {best.rate:g})"
