"""The outcomes of claims: each can come out otherwise."""

from __future__ import annotations

import math

import pytest
import torch

from pipeline.comparison.statistics import paired_difference
from pipeline.theory.claim import Outcome, all_of, all_true, are_equal, is_positive


@pytest.mark.parametrize(
    ("known", "proved", "measured"),
    [
        (True, Outcome.HOLDS, Outcome.SUPPORTED),
        (False, Outcome.FAILS, Outcome.CONTRADICTED),
        (None, Outcome.UNDECIDED, Outcome.UNDECIDED),
    ],
)
def test_what_is_not_known_is_not_decided(known: bool | None, proved: Outcome, measured: Outcome):
    assert Outcome.proved(known) is proved
    assert Outcome.measured(known) is measured


@pytest.mark.parametrize(
    ("text", "ours", "outcome"),
    [
        (False, True, Outcome.ERRATUM),
        (True, True, Outcome.HOLDS),
        (False, False, Outcome.FAILS),
        (True, False, Outcome.FAILS),
        (None, True, Outcome.UNDECIDED),
        (False, None, Outcome.UNDECIDED),
    ],
)
def test_an_erratum_is_wrong_in_the_text_and_right_here(
    text: bool | None, ours: bool | None, outcome: Outcome
):
    assert Outcome.corrected(text=text, ours=ours) is outcome


@pytest.mark.parametrize(
    ("parts", "together"),
    [
        ([True, True], True),
        ([True, None], None),
        ([None, False, True], False),
        ([], None),
    ],
)
def test_one_part_that_is_false_decides(parts: list[bool | None], together: bool | None):
    assert all_of(parts) is together


def test_of_no_flags_nothing_is_known():
    assert all_true(torch.tensor([True, True])) is True
    assert all_true(torch.tensor([True, False])) is False
    assert all_true(torch.tensor([], dtype=torch.bool)) is None


@pytest.mark.parametrize(
    ("difference", "equal"),
    [(0, True), (1e-15, True), (1e-11, None), (1e-8, False), (math.nan, False), (math.inf, False)],
)
def test_between_rounding_and_a_difference_nothing_is_decided(
    difference: float, equal: bool | None
):
    assert are_equal(difference) is equal


@pytest.mark.parametrize(
    ("values", "positive"),
    [([1, 1.1, 1.2], True), ([-1, -1.1, -1.2], False), ([1, -1, 0.5], None), ([1], None)],
)
def test_a_difference_counts_if_its_interval_leaves_out_0(
    values: list[float], positive: bool | None
):
    difference = paired_difference(dict(enumerate(values)), dict.fromkeys(range(len(values)), 0.0))
    assert is_positive(difference) is positive
