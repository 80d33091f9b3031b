"""Problem 3.3: every printed quantity, the errata, and values that are wrong on purpose."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from pipeline.engine.backprop import DERIVATIVES
from pipeline.reproduce.reference import WorkedExample, read_reference
from pipeline.theory.claim import Claim, Verdict
from pipeline.theory.worked_example import (
    NAMES,
    central_differences,
    check_worked_example,
    compute,
    numerical_gradients,
)

EXAMPLE = read_reference().worked_example
ERRATA = ("delta1", "dw1", "db1", "delta0")

RIGHT: dict[str, Any] = {
    "delta1": (0.0227, 0.0258),
    "dw1": ((0.0011, 0.0023), (0.0013, 0.0026)),
    "db1": (0.0227, 0.0258),
    "delta0": (0.0098, 0.0123),
}
"""What BP2 to BP4 give, to four digits."""


def published(**changed: Any) -> WorkedExample:
    return replace(EXAMPLE, published={**EXAMPLE.published, **changed})


def claim_on(name: str, example: WorkedExample = EXAMPLE) -> Claim:
    return dict(zip(NAMES, check_worked_example(example), strict=True))[name]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_printed_holds_or_is_an_erratum(name: str):
    claim = claim_on(name)
    assert claim.problem == "3.3"
    assert claim.verdict is (Verdict.ERRATUM if name in ERRATA else Verdict.HOLDS)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shift", [3e-4, -3e-4], ids=["more", "less"])
def test_a_wrong_published_value_fails(name: str, shift: float):
    wrong = (torch.tensor(EXAMPLE.published[name], dtype=torch.float64) + shift).tolist()
    assert claim_on(name, published(**{name: wrong})).verdict is Verdict.FAILS


@pytest.mark.parametrize("name", ERRATA)
def test_the_right_value_in_place_of_an_erratum_holds(name: str):
    assert claim_on(name, published(**{name: RIGHT[name]})).verdict is Verdict.HOLDS


@pytest.mark.parametrize("name", ERRATA)
def test_errata_are_explained(name: str):
    claim = claim_on(name)
    assert claim.statement.endswith(EXAMPLE.errata[name])
    assert "central differences" in claim.computed


@pytest.mark.parametrize("name", ["delta2", "dw2", "db2", *ERRATA])
def test_central_differences_prove_our_gradients(name: str):
    found, wanted = compute(EXAMPLE)[name], numerical_gradients(EXAMPLE)[name]
    torch.testing.assert_close(found, wanted, rtol=1e-8, atol=1e-10)


def test_a_wrong_gradient_of_ours_fails(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(DERIVATIVES, "sigmoid", lambda _, a: 1.001 * a * (1 - a))
    verdicts = {name: claim_on(name).verdict for name in NAMES}
    assert [name for name in NAMES if verdicts[name] is Verdict.FAILS] == list(ERRATA)


def test_central_differences_of_a_cubic():
    at = torch.tensor([[1.0, -2.0], [0.0, 3.0]], dtype=torch.float64)
    found = central_differences(lambda v: v.pow(3).sum(), at)
    torch.testing.assert_close(found, 3 * at.square(), rtol=1e-8, atol=1e-8)
