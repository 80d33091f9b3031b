"""The slips of Problem 2: wrong as printed, right as corrected, and both can turn out otherwise."""

from __future__ import annotations

import pytest

from pipeline.theory import slips
from pipeline.theory.claim import Claim, Outcome
from pipeline.theory.deep_network import COST_GRADIENTS


def by_problem() -> dict[str, Claim]:
    return {claim.problem: claim for claim in slips.check_slips()}


def test_each_slip_is_an_erratum():
    claims = by_problem()
    assert list(claims) == ["2.1", "2.2", "2.4"]
    assert {claim.outcome for claim in claims.values()} == {Outcome.ERRATUM}


def test_a_free_index_is_right_for_one_in_four():
    assert "240 of 320 numbers are off" in by_problem()["2.1"].computed


def test_a_formula_that_is_printed_right_holds(monkeypatch: pytest.MonkeyPatch):
    as_printed = [(*slip[:3], slip[4], slip[4]) for slip in slips.SLIPS]
    monkeypatch.setattr(slips, "SLIPS", as_printed)
    assert {claim.outcome for claim in by_problem().values()} == {Outcome.HOLDS}


def test_a_wrong_correction_fails(monkeypatch: pytest.MonkeyPatch):
    as_corrected = [(*slip[:3], slip[3], slip[3]) for slip in slips.SLIPS]
    monkeypatch.setattr(slips, "SLIPS", as_corrected)
    assert {claim.outcome for claim in by_problem().values()} == {Outcome.FAILS}


def test_a_wrong_cost_gradient_is_found(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(COST_GRADIENTS, "ce", lambda a, y: a - y)
    assert by_problem()["2.1"].outcome is Outcome.FAILS


def test_without_networks_nothing_is_decided(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(slips, "SEEDS", [])
    assert {claim.outcome for claim in by_problem().values()} == {Outcome.UNDECIDED}
