"""Problem 1.2 on digits, and its outcomes on made-up measurements."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from pipeline.data.tensors import load
from pipeline.theory.batch_size import (
    RATES,
    Best,
    Comparison,
    Measurement,
    check_batch_sizes,
    compare_batch_sizes,
)
from pipeline.theory.claim import Outcome

YES, NO = Outcome.SUPPORTED, Outcome.CONTRADICTED


@pytest.fixture(scope="module")
def digits() -> Comparison:
    data = load("digits", Path(), num_train=200, num_val=0, download=False)
    return compare_batch_sizes(data, seconds=0.01, sizes=(1, 10, 100, 1000))


def test_sizes_go_from_one_to_the_whole_set(digits: Comparison):
    assert [m.size for m in digits.measurements] == [1, 10, 100, 200]
    assert (digits.data_name, digits.num_examples, digits.seconds) == ("digits", 200, 0.01)


def test_the_full_gradient_has_no_noise(digits: Comparison):
    *batches, whole = digits.measurements
    assert (whole.cosine_mean, whole.cosine_std) == pytest.approx((1, 0), abs=1e-6)
    assert all(m.cosine_mean < 0.99 and m.cosine_std > 0.01 for m in batches)
    assert check_batch_sizes(digits)[2].outcome is YES


def test_losses_are_those_of_the_best_rate(digits: Comparison):
    for measurement in digits.measurements:
        for best in (measurement.after_epochs, measurement.after_time):
            assert 0 < best.loss < 2.31  # ln 10 is where it starts
            assert best.rate in RATES


def test_two_epochs_give_the_same_loss_again(digits: Comparison):
    data = load("digits", Path(), num_train=200, num_val=0, download=False)
    again = compare_batch_sizes(data, seconds=0, sizes=(1, 10))
    for ours, theirs in zip(again.measurements[:2], digits.measurements[:2], strict=True):
        assert ours.after_epochs.rate == theirs.after_epochs.rate
        assert ours.after_epochs.loss == pytest.approx(theirs.after_epochs.loss, rel=1e-5)


def made_up(
    times: Sequence[float] = (5e-5, 1e-3, 0.01),
    cosines: Sequence[float] = (0.1, 0.5, 1.0),
    after_epochs: Sequence[float] = (0.4, 0.3, 0.5),
    after_time: Sequence[float] = (0.4, 0.3, 0.5),
) -> Comparison:
    """Sizes 1, 10 and all 100 compared; by default every claim is supported."""
    columns = zip((1, 10, 100), times, cosines, after_epochs, after_time, strict=True)
    measurements = tuple(
        Measurement(size, seconds, cosine, 0.1, Best(epochs, 0.2), Best(time, 0.2))
        for size, seconds, cosine, epochs, time in columns
    )
    return Comparison("made up", 100, 1.0, measurements)


@pytest.mark.parametrize(
    ("comparison", "outcomes"),
    [
        (made_up(), [YES, YES, YES, YES, YES]),
        (made_up(times=(1e-4, 1e-3, 0.01)), [YES, NO, YES, YES, YES]),
        (made_up(times=(1e-3, 2e-3, 0.01)), [YES, NO, YES, YES, YES]),
        (made_up(times=(0.02, 0.01, 0.01)), [NO, NO, YES, YES, YES]),
        (made_up(cosines=(0.5, 0.4, 1.0)), [YES, YES, NO, YES, YES]),
        (made_up(after_epochs=(0.3, 0.4, 0.5)), [YES, YES, YES, NO, YES]),
        (made_up(after_time=(0.5, 0.4, 0.3)), [YES, YES, YES, YES, NO]),
        (made_up(after_time=(0.5, 0.299, 0.3)), [YES, YES, YES, YES, NO]),
    ],
    ids=[
        "as expected",
        "as long epochs",
        "long epochs",
        "dear",
        "no noisier",
        "one is best",
        "all is best",
        "tie",
    ],
)
def test_claims_are_judged_by_the_measurements(comparison: Comparison, outcomes: list[Outcome]):
    assert [claim.outcome for claim in check_batch_sizes(comparison)] == outcomes


def test_claims_quote_the_numbers():
    claims = check_batch_sizes(made_up())
    assert claims[0].computed == "50 µs against 10,000 µs: 200.0 times as many iterations"
    assert claims[4].computed == "loss (size): 0.400 (1), 0.300 (10), 0.500 (100)"
