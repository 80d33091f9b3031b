"""Training with mini-batches of one size, and the learning rate that suits it best."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from math import inf, isfinite
from typing import NamedTuple

import torch

from pipeline.data.tensors import Split
from pipeline.theory.batch_size.softmax_layer import Rows, SoftmaxLayer

__all__ = ["Losses", "batches", "best_rate", "train"]

FIRST = -10
"""Where the search for a rate 2^(k/2) begins: k of η = 1/32, which is near the best one of the
smallest mini-batches, whose epochs take longest."""
STEPS = (4, 2, 1)
"""Steps in k, one after the other: factors of 4, 2 and √2 in η."""


class Losses(NamedTuple):
    """Mean training losses on the way: after half of the updates, and after all of them."""

    half: float
    end: float


def train(
    examples: Split,
    num_classes: int,
    *,
    size: int,
    rate: float,
    num_updates: int,
    seeds: Sequence[int],
) -> dict[int, Losses]:
    """Train networks without hidden layers from zeros by gradient descent, as one group.

    Args:
        examples: inputs and labels.
        num_classes: the outputs.
        size: examples per mini-batch.
        rate: η.
        num_updates: 1 or more.
        seeds: of the orders of the examples, one for each network.

    Returns:
        The losses by seed. With mini-batches of all examples no order counts: one network is
        trained, and its losses are those of every seed.
    """
    orders = seeds if size < len(examples) else seeds[:1]
    layer = SoftmaxLayer(examples, num_classes, len(orders))
    half = layer.losses()
    updates = itertools.islice(batches(len(examples), size, orders), num_updates)
    for number, rows in enumerate(updates, start=1):
        layer.step(rows, rate)
        if number == num_updates // 2:
            half = layer.losses()
    found = list(map(Losses, half, layer.losses()))
    return dict(zip(seeds, itertools.cycle(found), strict=False))


def batches(num_examples: int, size: int, seeds: Sequence[int]) -> Iterator[Rows]:
    """Yield mini-batches without end, for each seed in an order of its own, new every epoch."""
    streams = [torch.Generator().manual_seed(seed) for seed in seeds]
    while True:
        orders = torch.stack([torch.randperm(num_examples, generator=s) for s in streams])
        yield from [None] if size == num_examples else orders.split(size, dim=1)


def best_rate(loss_of: Callable[[float], float]) -> tuple[float, float]:
    """Return the lowest loss and the rate η that leads to it, found by going downhill in ln η.

    From η = 1/32 it goes on in factors of 4 while the loss falls, then of 2, then of √2: the loss
    must have one valley. It ends where neither η · √2 nor η / √2 is better.

    Args:
        loss_of: the loss that a rate leads to; one that isn't finite counts as infinite.
    """

    @cache
    def loss(k: int) -> float:
        found = loss_of(2 ** (k / 2))
        return found if isfinite(found) else inf

    best = FIRST
    for step in STEPS:
        while (better := min((best, best - step, best + step), key=loss)) != best:
            best = better
    return loss(best), 2 ** (best / 2)
