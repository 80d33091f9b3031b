"""The second way to compute Problem 3, against Python's own functions."""

from __future__ import annotations

import math
from decimal import Decimal, getcontext

import pytest

from pipeline.theory.decimals import cross_entropy, curvature, fifty_digits, sigmoid, slope


def test_fifty_digits_last_as_long_as_their_context():
    outside = getcontext().prec
    with fifty_digits():
        assert len(str(Decimal(1) / 3)) == len("0.") + 50
    assert getcontext().prec == outside


@pytest.mark.parametrize("z", [-3.0, 0.0, 1.25])
def test_sigmoid_is_that_of_floats(z: float):
    assert float(sigmoid(Decimal(z))) == pytest.approx(1 / (1 + math.exp(-z)), rel=1e-15)


def test_cross_entropy_of_a_fair_coin():
    assert float(cross_entropy(Decimal("0.5"), Decimal("0.3"))) == pytest.approx(math.log(2))


@fifty_digits()
def test_differences_of_a_cubic_are_its_derivatives():
    two = Decimal(2)
    assert abs(slope(lambda v: v**3, two) - 12) < Decimal("1e-29")
    assert abs(curvature(lambda v: v**3, two) - 12) < Decimal("1e-17")
