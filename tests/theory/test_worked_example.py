"""Problem 3.3: every printed quantity, the errata, and values that are wrong on purpose."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from pipeline.engine.backprop import DERIVATIVES
from pipeline.theory.claim import Claim, Outcome
from pipeline.theory.worked_example import (
    PRINTED,
    central_differences,
    check_worked_example,
    compute,
    numerical_gradients,
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
    return dict(zip(PRINTED, check_worked_example(PRINTED | {name: quantity}), strict=True))[name]


@pytest.mark.parametrize("name", PRINTED)
def test_what_is_printed_holds_or_is_an_erratum(name: str):
    claim = claim_on(name)
    assert claim.problem == "3.3"
    assert claim.outcome is (Outcome.ERRATUM if name in ERRATA else Outcome.HOLDS)


@pytest.mark.parametrize("name", PRINTED)
@pytest.mark.parametrize("shift", [3e-4, -3e-4], ids=["more", "less"])
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
    assert "central differences" in claim.computed


@pytest.mark.parametrize("name", ["delta2", "dw2", "db2", *ERRATA])
def test_central_differences_prove_our_gradients(name: str):
    found, wanted = compute()[name], numerical_gradients()[name]
    torch.testing.assert_close(found, wanted, rtol=1e-8, atol=1e-10)


def test_a_wrong_gradient_of_ours_fails(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(DERIVATIVES, "sigmoid", lambda _, a: 1.001 * a * (1 - a))
    outcomes = {name: claim_on(name).outcome for name in PRINTED}
    assert [name for name in PRINTED if outcomes[name] is Outcome.FAILS] == list(ERRATA)


def test_central_differences_of_a_cubic():
    at = torch.tensor([[1.0, -2.0], [0.0, 3.0]], dtype=torch.float64)
    found = central_differences(lambda v: v.pow(3).sum(), at)
    torch.testing.assert_close(found, 3 * at.square(), rtol=1e-8, atol=1e-8)
