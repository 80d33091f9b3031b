"""Problems 3.1 and 3.2: the cross-entropy the right way round, and its minimum."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pipeline.engine.losses import LOSSES
from pipeline.theory import cross_entropy as module
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


def test_every_claim_holds():
    assert outcomes() == {"3.1": [Outcome.HOLDS] * 5, "3.2": [Outcome.HOLDS] * 4}


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
    assert found["3.2"][:3] == [Outcome.FAILS] * 3


def test_a_loss_that_is_not_finite_is_found_out(monkeypatch: pytest.MonkeyPatch):
    def naive(logits: Tensor, labels: Tensor, output: str, reduction: str) -> Tensor:
        del output, reduction
        is_target = (labels.unsqueeze(-1) == torch.arange(logits.shape[-1])).to(logits.dtype)
        return cross_entropy(logits.sigmoid(), is_target).sum(-1)

    monkeypatch.setitem(LOSSES, "ce", naive)
    assert outcomes()["3.1"] == [Outcome.HOLDS] * 4 + [Outcome.FAILS]
