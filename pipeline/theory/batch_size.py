"""Problem 1.2: mini-batches of one example against larger ones, measured."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (torch's own convention)

from pipeline.data.tensors import Data, Split
from pipeline.theory.claim import Claim, Outcome
from pipeline.theory.softmax_layer import Rows, SoftmaxLayer

__all__ = [
    "NUM_EPOCHS",
    "NUM_EXAMPLES",
    "RATES",
    "Best",
    "Comparison",
    "Measurement",
    "check_batch_sizes",
    "compare_batch_sizes",
]

SIZES = (1, 10, 100, 1000)
"""Examples per mini-batch, compared with each other and with the whole set."""
RATES = (0.02, 0.2, 2.0)
"""Every size is trained with each of these learning rates η; its best one counts."""
NUM_EXAMPLES = 10_000
"""The first of the training set; with more, the epochs of single examples take too long."""
NUM_EPOCHS = 2
NUM_DRAWS = 400
"""Mini-batches whose gradients are compared with the full one."""
MARGIN = 0.01
"""The best size must win by this share of the loss: less may be chance."""


@dataclass(frozen=True)
class Best:
    """The lowest training loss that one of RATES led to."""

    loss: float
    rate: float


@dataclass(frozen=True)
class Measurement:
    """What was measured of one mini-batch size, in examples."""

    size: int
    update_s: float
    """Seconds per update, fetching the examples included."""
    cosine_mean: float
    """Mean cosine of the gradients of mini-batches with the full one, in [-1, 1]."""
    cosine_std: float
    after_epochs: Best
    """After NUM_EPOCHS epochs."""
    after_time: Best
    """After the comparison's seconds, spent on updates."""


@dataclass(frozen=True)
class Comparison:
    """Mini-batch sizes compared on the first examples of a data set, from 1 to all of them."""

    data_name: str
    num_examples: int
    seconds: float
    measurements: tuple[Measurement, ...]


def compare_batch_sizes(
    data: Data, *, seconds: float = 1.0, sizes: Sequence[int] = SIZES
) -> Comparison:
    """Train with mini-batches of every size, and of the whole set.

    Args:
        data: the first NUM_EXAMPLES of its training set are used.
        seconds: what each run of a size and a learning rate spends on updates, at least; there
            are about fifteen.
        sizes: rising from 1; those that are smaller than the set are used.
    """
    examples = Split(data.train.inputs[:NUM_EXAMPLES], data.train.labels[:NUM_EXAMPLES])
    num_examples = len(examples)
    midway = SoftmaxLayer(examples, data.num_classes)
    for rows in itertools.islice(_batches(num_examples, 10), num_examples // 10):
        midway.step(rows, 0.1)

    def measure(size: int) -> Measurement:
        cosines = _cosines(midway, size)
        runs = [
            _train(SoftmaxLayer(examples, data.num_classes), size, rate, seconds) for rate in RATES
        ]
        update_s, after_epochs, after_time = zip(*runs, strict=True)
        return Measurement(
            size,
            min(update_s),
            cosines.mean().item(),
            cosines.std(correction=0).item(),
            _best(after_epochs),
            _best(after_time),
        )

    all_sizes = [*(size for size in sizes if size < num_examples), num_examples]
    return Comparison(data.name, num_examples, seconds, tuple(map(measure, all_sizes)))


def _best(losses: Sequence[float]) -> Best:
    return Best(*min(zip(losses, RATES, strict=True)))


def _train(
    layer: SoftmaxLayer, size: int, rate: float, seconds: float
) -> tuple[float, float, float]:
    """Train until both the epochs and the time are over; only updates count as time.

    Returns:
        Seconds per update, the loss after the epochs and the loss after the time.
    """
    num_examples = len(layer.labels)
    last_update = NUM_EPOCHS * -(-num_examples // size)
    after_epochs = after_time = None
    spent_s, num_updates = 0.0, 0
    batches = _batches(num_examples, size)
    while after_epochs is None or after_time is None:
        rows = next(batches)
        start_s = time.perf_counter()
        layer.step(rows, rate)
        spent_s += time.perf_counter() - start_s
        num_updates += 1
        if num_updates == last_update:
            after_epochs = layer.loss()
        if after_time is None and spent_s >= seconds:
            after_time = layer.loss()
    return spent_s / num_updates, after_epochs, after_time


def _batches(num_examples: int, size: int) -> Iterator[Rows]:
    """Yield mini-batches without end, in a new order each epoch; the whole set needs no order."""
    stream = torch.Generator().manual_seed(0)
    while True:
        order = torch.randperm(num_examples, generator=stream)
        yield from [slice(None)] if size == num_examples else order.split(size)


def _cosines(layer: SoftmaxLayer, size: int) -> Float[Tensor, " draws"]:
    """Return the cosines between the gradients of random mini-batches and the full gradient."""
    num_examples, stream = len(layer.labels), torch.Generator().manual_seed(0)
    num_draws = NUM_DRAWS if size < num_examples else 1
    draws = [torch.randperm(num_examples, generator=stream)[:size] for _ in range(num_draws)]
    gradients = torch.stack([layer.gradient(rows) for rows in draws])
    return F.cosine_similarity(gradients, layer.gradient(slice(None)).unsqueeze(0))


def check_batch_sizes(comparison: Comparison) -> list[Claim]:
    """Judge what Problem 1.2 says about mini-batches by what was measured."""
    one, *_, whole = measurements = comparison.measurements
    epoch_s = one.update_s * comparison.num_examples
    cosines = [m.cosine_mean for m in measurements]
    listed = [f"{m.cosine_mean:.2f} ± {m.cosine_std:.2f} ({m.size:,})" for m in measurements]
    return [
        Claim(
            "1.2",
            f"an update by 1 example takes less time than one by all {whole.size:,}, "
            "so the same time allows for more iterations",
            "much less time per update, more iterations",
            f"{one.update_s * 1e6:,.0f} µs against {whole.update_s * 1e6:,.0f} µs: "
            f"{whole.update_s / one.update_s:.1f} times as many iterations",
            Outcome.measured(one.update_s < whole.update_s),
        ),
        Claim(
            "1.2",
            "with mini-batches of 1, the same time also allows for more epochs",
            "more iterations of SGD (e.g., more epochs)",
            f"an epoch takes {epoch_s * 1e3:,.1f} ms by single examples, "
            f"{whole.update_s * 1e3:,.1f} ms at once",
            Outcome.measured(epoch_s < whole.update_s),
        ),
        Claim(
            "1.2",
            "the smaller the mini-batch, the noisier its gradient: "
            "its mean cosine with the full gradient rises with the size",
            "gradients are less precise (i.e., noisier)",
            f"mean ± spread (size): {', '.join(listed)}",
            Outcome.measured(all(low < high for low, high in itertools.pairwise(cosines))),
        ),
        _best_between({m.size: m.after_epochs.loss for m in measurements}, f"{NUM_EPOCHS} epochs"),
        _best_between(
            {m.size: m.after_time.loss for m in measurements},
            f"{comparison.seconds:g} s of updates",
        ),
    ]


def _best_between(loss_by_size: dict[int, float], budget: str) -> Claim:
    one, *between, whole = loss_by_size.values()
    listed = ", ".join(f"{loss:.3f} ({size:,})" for size, loss in loss_by_size.items())
    return Claim(
        "1.2",
        f"a size between 1 and n is best: after {budget}, each with its best η of "
        f"{', '.join(map(str, RATES))}, its training loss is over {MARGIN:.0%} below both ends'",
        "a size somewhere between 1 and n",
        f"loss (size): {listed}",
        Outcome.measured(min(between) < (1 - MARGIN) * min(one, whole)),
    )
