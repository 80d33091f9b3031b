"""Members that read the same inputs share their products, which are those of each member."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pipeline.engine.first_layer import Readers, SharedInputs, times_transposed

BATCH, FEATURES = 7, 5


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("max_merged", [0, 10**9])
@pytest.mark.parametrize("counts", [[6], [3, 3], [1] * 6, [1, 3, 2], [2, 2, 1, 1]], ids=str)
def test_shared_products_are_those_of_each_member(
    counts: list[int], max_merged: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("pipeline.engine.first_layer.MAX_MERGED", max_merged)
    inputs = SharedInputs(random(len(counts), BATCH, FEATURES), Readers(counts))
    own = inputs.matrices.repeat_interleave(torch.tensor(counts), dim=0)
    weights, error = random(6, 3, FEATURES), random(6, 3, BATCH)
    torch.testing.assert_close(inputs.weighted_by(weights), weights @ own.mT)
    assert torch.equal(inputs.of_every_member(), own.mT)
    gradient = torch.full((6, 3, FEATURES), torch.nan, dtype=torch.float64)
    inputs.add_gradient(gradient, error, accumulate=False)
    torch.testing.assert_close(gradient, error @ own)
    inputs.add_gradient(gradient, error, accumulate=True)
    torch.testing.assert_close(gradient, 2 * error @ own)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_products_are_right_however_the_matrices_lie_in_memory(dtype: torch.dtype):
    a, b = random(30, 50).to(dtype), random(20, 50, seed=1).to(dtype)
    expected = a @ b.T
    for left in (a, a.T.contiguous().T):
        for right in (b, b.T.contiguous().T):
            torch.testing.assert_close(times_transposed(left, right), expected)
