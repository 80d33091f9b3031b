"""Mini-batch sizes compared: cost of an update, noise of its gradient, loss after a budget."""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev

import torch
from torch.nn import functional as F  # noqa: N812  (torch's own convention)

from pipeline.data.tensors import Data, Split
from pipeline.engine.threads import num_threads
from pipeline.theory.batch_size.cost import update_bytes, update_seconds
from pipeline.theory.batch_size.softmax_layer import SoftmaxLayer
from pipeline.theory.batch_size.training import Losses, batches, best_rate, train

__all__ = [
    "NUM_EPOCHS",
    "NUM_EXAMPLES",
    "SECONDS",
    "Best",
    "Comparison",
    "Measurement",
    "compare_batch_sizes",
]

log = logging.getLogger("pipeline")

SIZES = (1, 10, 100, 1000)
"""Examples per mini-batch, compared with each other and with the whole set."""
NUM_EXAMPLES = 10_000
"""The first of the training set; with more, the epochs of single examples take too long."""
NUM_EPOCHS = 2
SECONDS = 0.2
"""A training's updates in the comparison by time: enough for some epochs of all sizes but 1."""
NUM_DRAWS = 400
"""Mini-batches whose gradients are compared with the full one."""
TUNING_ORDERS = range(3)
"""Seeds of the orders of the examples that choose a learning rate."""
ORDERS = range(3, 8)
"""Seeds of the orders that a size is judged by."""


@dataclass(frozen=True)
class Best:
    """What mini-batches of a size lead to with the learning rate that suits them best.

    Attributes:
        rate: η, chosen by training with a few orders of the examples.
        chosen_by: the mean training loss over those orders.
        losses: the mean training loss by seed of the order, for orders that chose nothing.
        half_losses: the same after half of the updates.
    """

    rate: float
    chosen_by: float
    losses: Mapping[int, float]
    half_losses: Mapping[int, float]

    @property
    def loss(self) -> float:
        """The mean over the orders."""
        return fmean(self.losses.values())


@dataclass(frozen=True)
class Measurement:
    """What was measured of one mini-batch size.

    Attributes:
        size: examples per mini-batch.
        update_s: seconds per update, fetching the examples included, by round of timing.
        update_bytes: the most memory that an update's examples and tensors take at a time.
        cosines: of the gradients of random mini-batches with the full gradient, in [-1, 1]. Draws
            in the same place hold the same examples and more of them, for a larger size.
        after_epochs: after NUM_EPOCHS epochs.
        after_time: after as many updates as the comparison's seconds allow.
    """

    size: int
    update_s: Mapping[int, float]
    update_bytes: int
    cosines: Sequence[float]
    after_epochs: Best
    after_time: Best

    @property
    def mean_update_s(self) -> float:
        """Mean seconds per update."""
        return fmean(self.update_s.values())

    @property
    def cosine_mean(self) -> float:
        """Mean cosine."""
        return fmean(self.cosines)

    @property
    def cosine_std(self) -> float:
        """Standard deviation of the cosines."""
        return pstdev(self.cosines)


@dataclass(frozen=True)
class Comparison:
    """Mini-batch sizes compared on the first examples of a data set, from 1 to all of them."""

    data_name: str
    num_examples: int
    seconds: float
    measurements: Sequence[Measurement]


@num_threads(1)
def compare_batch_sizes(
    data: Data, *, seconds: float = SECONDS, sizes: Sequence[int] = SIZES
) -> Comparison:
    """Train with mini-batches of every size, and of the whole set, on one thread.

    Args:
        data: the first NUM_EXAMPLES of its training set are used.
        seconds: what the updates of one training may take, by the time of an update alone; each
            size is trained some thirty times.
        sizes: rising from 1; those that are smaller than the set are used.
    """
    examples = Split(data.train.inputs[:NUM_EXAMPLES], data.train.labels[:NUM_EXAMPLES])
    num_examples = len(examples)
    all_sizes = [*(size for size in sizes if size < num_examples), num_examples]
    layer = SoftmaxLayer(examples, data.num_classes)
    for rows in itertools.islice(batches(num_examples, 10, [0]), num_examples // 10):
        layer.step(rows, 0.1)
    cosines = {size: _cosines(layer, size) for size in all_sizes}
    times = update_seconds(layer, all_sizes)

    def measure(size: int) -> Measurement:
        log.info("training with mini-batches of %d", size)
        per_epoch = math.ceil(num_examples / size)
        in_time = max(1, round(seconds / fmean(times[size].values())))
        return Measurement(
            size,
            times[size],
            update_bytes(layer, size),
            cosines[size],
            _best(examples, data.num_classes, size, NUM_EPOCHS * per_epoch),
            _best(examples, data.num_classes, size, in_time),
        )

    return Comparison(data.name, num_examples, seconds, [measure(size) for size in all_sizes])


def _best(examples: Split, num_classes: int, size: int, num_updates: int) -> Best:
    """Choose the rate by some orders, then train with others."""

    def losses(rate: float, seeds: Sequence[int]) -> dict[int, Losses]:
        return train(
            examples, num_classes, size=size, rate=rate, num_updates=num_updates, seeds=seeds
        )

    chosen_by, rate = best_rate(
        lambda rate: fmean(loss.end for loss in losses(rate, TUNING_ORDERS).values())
    )
    found = losses(rate, ORDERS)
    return Best(
        rate,
        chosen_by,
        {seed: loss.end for seed, loss in found.items()},
        {seed: loss.half for seed, loss in found.items()},
    )


def _cosines(layer: SoftmaxLayer, size: int) -> list[float]:
    """Return the cosines between the gradients of random mini-batches and the full gradient."""
    num_examples, stream = len(layer.labels), torch.Generator().manual_seed(0)
    whole = layer.gradient(None)
    if size == num_examples:
        return [F.cosine_similarity(whole, whole).item()] * NUM_DRAWS
    draws = [torch.randperm(num_examples, generator=stream)[None, :size] for _ in range(NUM_DRAWS)]
    return [F.cosine_similarity(layer.gradient(rows), whole).item() for rows in draws]
