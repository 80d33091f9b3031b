"""The tables of the theory: what stands out, and what each size costs."""

from __future__ import annotations

from pipeline.theory.claim import Claim, Outcome
from pipeline.theory.table import batch_size_table, claim_table
from tests.theory.batch_size.made_up import compare


def test_what_does_not_hold_stands_out():
    outcomes = [Outcome.HOLDS, Outcome.ERRATUM, Outcome.SUPPORTED, Outcome.UNDECIDED, Outcome.FAILS]
    table = claim_table([Claim("3.2", "a claim", "", "", outcome) for outcome in outcomes])
    assert [row[-1] for row in table.rows] == outcomes
    assert set(table.highlights) == {1, 3, 4}


def test_a_size_is_told_with_its_cost_its_noise_and_its_losses():
    table = batch_size_table(compare())
    assert table.rows[1] == [
        "10",
        "1,000",
        "0.0",
        "0.50 ± 0.00",
        "0.300 (η = 0.2)",
        "0.300 (η = 0.2)",
    ]
    assert len(table.header) == len(table.rows[0])
    assert "one thread of one machine" in table.note
