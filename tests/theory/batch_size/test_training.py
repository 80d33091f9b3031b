"""Training with mini-batches, and the search for the learning rate."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from pipeline.data.tensors import Split
from pipeline.theory.batch_size.training import batches, best_rate, train

EXAMPLES = Split(
    torch.rand(20, 4, generator=torch.Generator().manual_seed(0)), torch.arange(20) % 3
)


def trained(seeds: list[int], size: int = 5, num_updates: int = 8) -> list[tuple[float, float]]:
    losses = train(EXAMPLES, 3, size=size, rate=0.5, num_updates=num_updates, seeds=seeds)
    assert list(losses) == seeds
    return list(losses.values())


def test_every_epoch_shows_every_example_once_in_an_order_of_its_own():
    drawn = itertools.islice(batches(20, 6, [0, 1]), 8)
    shown = [rows for rows in drawn if rows is not None]
    assert [rows.shape[1] for rows in shown] == [6, 6, 6, 2] * 2
    epochs = [torch.cat(shown[:4], dim=1), torch.cat(shown[4:], dim=1)]
    orders = torch.cat(epochs)
    assert all(sorted(order) == list(range(20)) for order in orders.tolist())
    assert len({tuple(order) for order in orders.tolist()}) == 4


def test_an_order_gives_the_same_alone_as_beside_others():
    together, alone = trained([3, 4]), trained([4])
    assert together[1] == pytest.approx(alone[0], rel=1e-6)
    assert together[0] != pytest.approx(together[1], rel=1e-6)


def test_losses_are_those_at_half_and_at_the_end():
    half, end = trained([0])[0]
    assert half == pytest.approx(trained([0], num_updates=4)[0][1], rel=1e-6)
    assert end < half < math.log(3)


def test_the_whole_set_has_one_order():
    first, second = trained([0, 1], size=20)
    assert first == second


@pytest.mark.parametrize("optimum", [-9, -4, 0, 7])
def test_the_best_rate_is_found_to_a_factor_of_root_2(optimum: int):
    loss, rate = best_rate(lambda rate: (2 * math.log2(rate) - optimum) ** 2 + 1)
    assert (loss, rate) == pytest.approx((1, 2 ** (optimum / 2)))


def test_a_rate_that_diverges_is_not_chosen():
    _, rate = best_rate(lambda rate: math.nan if rate > 0.1 else 1 - rate)
    assert rate == pytest.approx(2 ** (-7 / 2))


def test_a_search_without_a_slope_ends():
    assert best_rate(lambda _: 1.0) == (1.0, 1 / 32)
