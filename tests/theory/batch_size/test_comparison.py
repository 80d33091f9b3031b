"""Problem 1.2 measured on digits."""

from __future__ import annotations

import pytest

from pipeline.config.schema.data import DataConfig
from pipeline.data.tensors import Data, load
from pipeline.theory.batch_size import Comparison, check_batch_sizes, compare_batch_sizes
from pipeline.theory.claim import Outcome


def digits_data() -> Data:
    return load(DataConfig("digits", num_train=120, num_val=0, batch_size=1))


@pytest.fixture(scope="module")
def digits() -> Comparison:
    return compare_batch_sizes(digits_data(), seconds=0.002, sizes=(1, 10, 100, 1000))


def test_sizes_go_from_one_to_the_whole_set(digits: Comparison):
    assert [m.size for m in digits.measurements] == [1, 10, 100, 120]
    assert (digits.data_name, digits.num_examples, digits.seconds) == ("digits", 120, 0.002)


def test_the_full_gradient_has_no_noise(digits: Comparison):
    *batches, whole = digits.measurements
    assert (whole.cosine_mean, whole.cosine_std) == pytest.approx((1, 0), abs=1e-6)
    assert all(m.cosine_mean < 0.99 and m.cosine_std > 0.01 for m in batches)
    assert check_batch_sizes(digits)[3].outcome is Outcome.SUPPORTED


def test_larger_batches_need_more_memory(digits: Comparison):
    counts = [m.update_bytes for m in digits.measurements]
    assert counts == sorted(set(counts))
    assert counts[0] > 64 * 4  # one image of digits, in single precision


def test_every_order_has_its_own_loss_and_the_whole_set_has_none(digits: Comparison):
    for measurement in digits.measurements:
        for best in (measurement.after_epochs, measurement.after_time):
            assert len(best.losses) == 5
            assert 0 < best.loss < 2.31  # ln 10 is where it starts
        num_losses = len(set(measurement.after_epochs.losses.values()))
        assert num_losses == (1 if measurement.size == 120 else 5)


def test_two_epochs_give_the_same_losses_again(digits: Comparison):
    again = compare_batch_sizes(digits_data(), seconds=0, sizes=(1, 10))
    for ours, theirs in zip(again.measurements[:2], digits.measurements[:2], strict=True):
        assert ours.after_epochs.rate == theirs.after_epochs.rate
        assert ours.after_epochs.losses == pytest.approx(theirs.after_epochs.losses, rel=1e-5)
