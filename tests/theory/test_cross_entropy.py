"""Problems 3.1 and 3.2: the cross-entropy the right way round, and its minimum."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pipeline.engine.losses import is_target
from pipeline.engine.losses.ce import Ce
from pipeline.theory import cross_entropy as module
from pipeline.theory import decimals
from pipeline.theory.claim import Outcome
from pipeline.theory.cross_entropy import binary_entropy, check_cross_entropy, cross_entropy


def number(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64)


def outcomes() -> dict[str, list[Outcome]]:
    claims = check_cross_entropy()
    return {
        problem: [claim.outcome for claim in claims if claim.problem == problem]
        for problem in ("3.1", "3.2")
    }


def test_every_claim_holds_but_for_a_sum_that_is_no_derivative():
    holds = Outcome.HOLDS
    assert outcomes() == {
        "3.1": [holds] * 5,
        "3.2": [holds, Outcome.ERRATUM, *[holds] * 5],
    }


@pytest.mark.parametrize(
    ("a", "y", "expected"),
    [(0.2, 1, -math.log(0.2)), (0.2, 0, -math.log(0.8)), (0.5, 0.3, math.log(2))],
)
def test_values_by_hand(a: float, y: float, expected: float):
    assert cross_entropy(number(a), number(y)).item() == pytest.approx(expected)


@pytest.mark.parametrize("y", [0, 1])
def test_swapped_it_is_undefined(y: float):
    assert cross_entropy(number(0.2), number(y)).isfinite()
    assert not cross_entropy(number(y), number(0.2)).isfinite()


def test_the_entropy_is_highest_in_the_middle_and_zero_at_the_ends():
    entropy = binary_entropy(torch.tensor([0, 0.25, 0.5, 1], dtype=torch.float64))
    assert entropy.tolist() == pytest.approx([0, 0.5623351446, math.log(2), 0])


def test_y_and_a_swapped_is_found_out(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "cross_entropy", lambda a, y: cross_entropy(y, a))  # pyright: ignore[reportUnknownArgumentType]
    found = outcomes()
    assert found["3.1"] == [Outcome.FAILS] * 5
    # At a = y it makes no difference, so its value there stays right.
    assert found["3.2"] == [*[Outcome.FAILS] * 6, Outcome.HOLDS]


def test_a_cost_with_another_minimum_is_found_out(monkeypatch: pytest.MonkeyPatch):
    def shifted(a: Tensor, y: Tensor) -> Tensor:
        return cross_entropy(a, y) + a / 10

    monkeypatch.setattr(module, "cross_entropy", shifted)
    assert Outcome.HOLDS not in outcomes()["3.2"]


def test_a_cost_that_does_not_bend_up_is_found_out(monkeypatch: pytest.MonkeyPatch):
    """Its slope vanishes at a = y too, but there it is highest."""
    monkeypatch.setattr(module, "cross_entropy", lambda a, y: -cross_entropy(a, y))  # pyright: ignore[reportUnknownArgumentType]
    *_, vanishes, minimum, zero, one, _ = outcomes()["3.2"]
    assert vanishes is Outcome.HOLDS
    assert [minimum, zero, one] == [Outcome.FAILS] * 3


def test_a_concave_second_derivative_is_found_out(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(decimals, "curvature", lambda _function, at: -at)  # pyright: ignore[reportUnknownArgumentType]
    assert outcomes()["3.2"][3] is Outcome.FAILS


def test_another_entropy_is_found_out(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "binary_entropy", lambda y: 4 * y * (1 - y))  # pyright: ignore[reportUnknownArgumentType]
    assert outcomes()["3.2"][-1] is Outcome.FAILS


def test_a_difference_that_may_be_rounding_is_not_decided(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "binary_entropy", lambda y: binary_entropy(y) + 1e-11)  # pyright: ignore[reportUnknownArgumentType]
    assert outcomes()["3.2"][-1] is Outcome.UNDECIDED


def test_a_loss_that_is_not_finite_is_found_out(monkeypatch: pytest.MonkeyPatch):
    def naive(loss: Ce, logits: Tensor, targets: Tensor) -> Tensor:
        y = is_target(logits, targets).to(logits.dtype)
        return loss.reduce(cross_entropy(logits.sigmoid(), y))

    monkeypatch.setattr(Ce, "value", naive)
    assert outcomes()["3.1"] == [Outcome.HOLDS] * 4 + [Outcome.FAILS]
