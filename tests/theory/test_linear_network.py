"""Problem 2.4: the linear network."""

from __future__ import annotations

import pytest
import torch

from pipeline.engine.backprop import DERIVATIVES
from pipeline.engine.network import ACTIVATIONS
from pipeline.theory.claim import Outcome
from pipeline.theory.linear_network import check_linear_network


def failures() -> list[str]:
    claims = check_linear_network()
    return [claim.published for claim in claims if claim.outcome is Outcome.FAILS]


def test_every_claim_holds():
    claims = check_linear_network()
    assert [claim.problem for claim in claims] == ["2.4"] * 5
    assert {claim.outcome for claim in claims} == {Outcome.HOLDS}


def test_a_derivative_that_is_not_one_is_found(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(DERIVATIVES, "identity", lambda z, _: torch.full_like(z, 1.001))
    assert failures() == [
        "δ^l = (W^(l+1))ᵀ δ^(l+1)",
        "∂C/∂b^l = δ^l",
        "∂C/∂w_jk^l = a_k^(l-1) δ_j^l",
    ]


def test_an_activation_that_is_not_linear_is_found(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(ACTIVATIONS, "identity", torch.tanh)
    assert "Σ′(z) = I" in failures()
