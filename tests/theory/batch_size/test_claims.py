"""Problem 1.2 judged by made-up measurements: every claim can be contradicted, or not decided."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.theory.batch_size import Comparison, Measurement, check_batch_sizes
from pipeline.theory.claim import Outcome
from tests.theory.batch_size.made_up import best, compare

YES, NO, OPEN = Outcome.SUPPORTED, Outcome.CONTRADICTED, Outcome.UNDECIDED
EXPECTED = [YES, YES, YES, YES, YES, YES]
"""Iterations, epochs, memory, noise, loss after epochs, loss after a time."""


def outcomes(comparison: Comparison) -> list[Outcome]:
    return [claim.outcome for claim in check_batch_sizes(comparison)]


def with_bytes(comparison: Comparison, *counts: int) -> Comparison:
    measured: list[Measurement] = [
        replace(measurement, update_bytes=count)
        for measurement, count in zip(comparison.measurements, counts, strict=True)
    ]
    return replace(comparison, measurements=measured)


def test_what_the_text_expects_is_supported():
    assert outcomes(compare()) == EXPECTED


@pytest.mark.parametrize(
    ("comparison", "claim", "outcome"),
    [
        (compare(times=(0.05, 0.01, 0.01)), 0, NO),
        (compare(times=(7e-3, 7e-3, 0.01)), 0, OPEN),
        (compare(times=(1e-3, 2e-3, 0.02)), 1, NO),
        (compare(times=(1e-4, 2e-3, 0.015)), 1, OPEN),
        (with_bytes(compare(), 10, 5, 4), 2, NO),
        (with_bytes(compare(), 4, 5, 4), 2, OPEN),
        (compare(cosines=(0.5, 0.1, 1.0)), 3, NO),
        (compare(cosines=(0.1, 0.1, 1.0)), 3, OPEN),
        (compare(after_epochs=(0.3, 0.4, 0.5)), 4, NO),
        (compare(after_epochs=(0.5, 0.4, 0.3)), 4, NO),
        (compare(after_epochs=(0.3, 0.3, 0.5)), 4, OPEN),
        (compare(after_time=(best(0.5), best(0.4), best(0.3))), 5, NO),
        (compare(after_time=(best(0.4), best(0.399), best(0.5))), 5, OPEN),
    ],
    ids=[
        "dear updates",
        "updates that are dear on a slower machine",
        "long epochs",
        "epochs as long within a factor of 2",
        "more memory",
        "as much memory",
        "less noise",
        "as much noise",
        "one is best",
        "all is best",
        "tie",
        "all is best in time",
        "tie in time",
    ],
)
def test_claims_are_judged_by_the_measurements(
    comparison: Comparison, claim: int, outcome: Outcome
):
    assert outcomes(comparison)[claim] is outcome


def test_what_time_decides_must_stay_so_with_half_of_the_time():
    slow_start = best(0.3, half_loss=0.41)
    comparison = compare(after_time=(best(0.4), slow_start, best(0.5)))
    assert outcomes(comparison) == [*EXPECTED[:5], OPEN]
    late = compare(after_time=(best(0.3, half_loss=0.5), best(0.4), best(0.5)))
    assert outcomes(late)[5] is OPEN
    early = compare(after_time=(best(0.3, half_loss=0.35), best(0.4), best(0.5)))
    assert outcomes(early)[5] is NO


def test_a_single_order_decides_nothing():
    comparison = compare()
    measured = [
        replace(m, after_epochs=replace(m.after_epochs, losses={0: m.after_epochs.losses[0]}))
        for m in comparison.measurements
    ]
    assert outcomes(replace(comparison, measurements=measured))[4] is OPEN


def test_the_size_between_is_chosen_before_it_is_judged():
    """Of two sizes between, the one that is better with the judging orders was not chosen."""
    comparison = compare(after_epochs=(0.4, 0.45, 0.5))
    one, ten, whole = comparison.measurements
    lucky = replace(ten, size=50, after_epochs=replace(best(0.3), chosen_by=0.46))
    found = check_batch_sizes(replace(comparison, measurements=[one, ten, lucky, whole]))[4]
    assert found.outcome is NO
    assert "with 10 it is lower by" in found.computed


def test_claims_quote_the_numbers():
    claims = check_batch_sizes(compare())
    assert claims[0].computed == (
        "50.0 ± 1.2 µs against 20.0 ± 0.5 ms: 400.0 times as many iterations; on one thread of "
        "this machine"
    )
    assert claims[2].computed.startswith("at most 0.0 kB against 0.4 kB at a time")
    assert claims[4].computed == (
        "loss (size, η): 0.400 (1, η = 0.2), 0.300 (10, η = 0.2), 0.500 (100, η = 0.2); with 10 "
        "it is lower by +0.1000 ± 0.0025 than with 1 and by +0.2000 ± 0.0050 than with 100"
    )
