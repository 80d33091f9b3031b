"""Problem 3.3: every printed quantity, the errata, and values that are wrong on purpose."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from pipeline.engine.activations.sigmoid import Sigmoid
from pipeline.theory.claim import Claim, Outcome
from pipeline.theory.worked_example import (
    PRINTED,
    check_worked_example,
    compute,
    compute_in_digits,
    wrong_values,
)

ERRATA = ("delta1", "dw1", "db1", "delta0")

RIGHT: dict[str, Any] = {
    "delta1": (0.0227, 0.0258),
    "dw1": ((0.0011, 0.0023), (0.0013, 0.0026)),
    "db1": (0.0227, 0.0258),
    "delta0": (0.0098, 0.0123),
}
"""What BP2 to BP4 give, to four digits."""


def claim_on(name: str, printed: Any = None) -> Claim:
    """The claim on a quantity; with another printed value, if there is one."""
    quantity = PRINTED[name]
    if printed is not None:
        quantity = replace(quantity, printed=printed)
    *claims, _ = check_worked_example(PRINTED | {name: quantity})
    return dict(zip(PRINTED, claims, strict=True))[name]


@pytest.mark.parametrize("name", PRINTED)
def test_what_is_printed_holds_or_is_an_erratum(name: str):
    claim = claim_on(name)
    assert claim.problem == "3.3"
    assert claim.outcome is (Outcome.ERRATUM if name in ERRATA else Outcome.HOLDS)


@pytest.mark.parametrize("name", PRINTED)
@pytest.mark.parametrize("shift", [4e-4, -4e-4], ids=["more", "less"])
def test_a_wrong_published_value_fails(name: str, shift: float):
    wrong = (torch.tensor(PRINTED[name].printed, dtype=torch.float64) + shift).tolist()
    assert claim_on(name, wrong).outcome is Outcome.FAILS


@pytest.mark.parametrize("name", ERRATA)
def test_the_right_value_in_place_of_an_erratum_holds(name: str):
    assert claim_on(name, RIGHT[name]).outcome is Outcome.HOLDS


@pytest.mark.parametrize("name", ERRATA)
def test_errata_are_explained(name: str):
    claim = claim_on(name)
    assert PRINTED[name].erratum
    assert claim.statement.endswith(PRINTED[name].erratum)
    assert "of 50 digits" in claim.computed


@pytest.mark.parametrize("name", PRINTED)
def test_our_numbers_are_those_of_50_digits(name: str):
    torch.testing.assert_close(compute()[name], compute_in_digits()[name], rtol=0, atol=1e-15)


def test_a_printed_value_that_rounding_may_explain_is_not_decided():
    assert claim_on("a2", (0.7514, 0.7730)).outcome is Outcome.UNDECIDED


def printed() -> dict[str, Tensor]:
    return {
        name: torch.tensor(quantity.printed, dtype=torch.float64)
        for name, quantity in PRINTED.items()
    }


@pytest.mark.parametrize(
    ("sign", "factor", "wrong"),
    [
        (True, True, ["delta1", "dw1", "db1", "delta0"]),
        (False, True, ["delta0"]),
        (True, False, ["delta1", "dw1", "db1", "delta0"]),
        (False, False, []),
    ],
)
def test_the_four_wrong_values_are_two_slips_and_what_follows(
    sign: bool, factor: bool, wrong: list[str]
):
    assert wrong_values(printed(), compute(), sign=sign, factor=factor) == wrong
    assert check_worked_example()[-1].outcome is Outcome.HOLDS


def test_a_third_slip_would_be_found_out():
    other = PRINTED | {"delta2": replace(PRINTED["delta2"], printed=(0.3707, -0.3))}
    assert check_worked_example(other)[-1].outcome is Outcome.FAILS


def test_a_wrong_gradient_of_ours_fails(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Sigmoid, "derivative", lambda _self, _z, a: 1.001 * a * (1 - a))
    outcomes = {name: claim_on(name).outcome for name in PRINTED}
    assert [name for name in PRINTED if outcomes[name] is Outcome.FAILS] == list(ERRATA)
