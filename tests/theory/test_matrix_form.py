"""Problems 2.1 to 2.3: the forms agree, and a wrong one is found out."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pipeline.engine.activations.tanh import Tanh
from pipeline.engine.losses.quadratic import Quadratic
from pipeline.theory.claim import Outcome
from pipeline.theory.deep_network import (
    COST_GRADIENTS,
    OUTPUTS,
    DeepNetwork,
    backward,
    sigma_prime,
)
from pipeline.theory.matrix_form import agreement, check_matrix_form, condition
from pipeline.theory.one_network import find_activation, find_loss


def failures() -> list[str]:
    return [claim.problem for claim in check_matrix_form() if claim.outcome is Outcome.FAILS]


def test_every_claim_holds():
    claims = check_matrix_form()
    assert [claim.problem for claim in claims] == ["2.1", "2.1", "2.2", "2.3"]
    assert {claim.outcome for claim in claims} == {Outcome.HOLDS}


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu", "identity"])
def test_sigma_prime_is_diagonal_with_the_derivatives(activation: str):
    z = torch.randn(3, 4, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    matrices = sigma_prime(z, find_activation(activation))
    ones = torch.ones_like(z)
    slopes = {
        "sigmoid": z.sigmoid() * (1 - z.sigmoid()),
        "tanh": 1 / z.cosh().square(),
        "relu": (z > 0).to(z.dtype),
        "identity": ones,
    }[activation]
    torch.testing.assert_close(matrices, torch.diag_embed(slopes.squeeze(-1)))


def test_sigma_prime_of_a_softmax_is_a_full_matrix():
    z = torch.randn(3, 4, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    a = z.softmax(1)
    expected = torch.diag_embed(a.squeeze(-1)) - a @ a.mT
    torch.testing.assert_close(sigma_prime(z, OUTPUTS["softmax"]), expected)


def test_a_diagonal_is_wrong_for_softmax_outputs_and_enough_for_sigmoids():
    done = {
        output: [backward(DeepNetwork("tanh", seed), find_loss("ce", output)) for seed in range(3)]
        for output in ("softmax", "sigmoid")
    }
    assert condition(done["softmax"]).outcome is Outcome.HOLDS
    assert condition(done["sigmoid"]).outcome is Outcome.FAILS
    assert condition([]).outcome is Outcome.UNDECIDED


def test_a_softmax_without_its_other_slopes_is_found(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(OUTPUTS, "softmax", torch.sigmoid)
    assert failures() == ["2.1"]


def test_the_networks_are_deep_and_of_different_shapes():
    networks = [DeepNetwork("tanh", seed) for seed in range(4)]
    assert [len(network.weights) for network in networks] == [3, 4, 5, 6]
    assert all(len({w.shape for w in network.weights}) > 1 for network in networks)


def test_a_wrong_derivative_in_the_code_that_trains_is_found(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Tanh, "derivative", lambda _self, _z, a: 1 - a.abs())
    assert failures() == ["2.2", "2.3"]


def test_a_wrong_output_error_is_found(monkeypatch: pytest.MonkeyPatch):
    right = Quadratic.error
    monkeypatch.setattr(Quadratic, "error", lambda *case: right(*case) * 1.000001)
    assert failures() == ["2.1", "2.1", "2.2", "2.3"]


def test_a_wrong_cost_gradient_is_found(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(COST_GRADIENTS, "ce", lambda a, y: a - y)
    assert failures() == ["2.1", "2.1", "2.3"]


@pytest.mark.parametrize(
    ("second", "outcome"),
    [
        (torch.tensor([1.0, -2.0]), Outcome.HOLDS),
        (torch.tensor([1.0, -2.001]), Outcome.FAILS),
        (torch.tensor([1.0, torch.nan]), Outcome.FAILS),
        (torch.tensor([1.0, -2.0 + 1e-10], dtype=torch.float64), Outcome.UNDECIDED),
    ],
    ids=["equal", "different", "not finite", "much rounding"],
)
def test_agreement_is_of_all_forms(second: Tensor, outcome: Outcome):
    first = torch.tensor([1.0, -2.0])
    assert agreement("2", "", "", [[first, first], [first, first, second]]).outcome is outcome
    assert agreement("2", "", "", [[first, second], [first, first]]).outcome is outcome


@pytest.mark.parametrize("comparisons", [[], [[torch.zeros(2), torch.zeros(2)]]])
def test_nothing_and_zeros_decide_nothing(comparisons: list[list[Tensor]]):
    assert agreement("2", "", "", comparisons).outcome is Outcome.UNDECIDED


def test_zeros_in_place_of_numbers_are_found():
    assert agreement("2", "", "", [[torch.zeros(2), torch.ones(2)]]).outcome is Outcome.FAILS
