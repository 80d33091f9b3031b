"""What an update costs by its mini-batch size: seconds and bytes."""

from __future__ import annotations

import time
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from pipeline.theory.batch_size.softmax_layer import Rows, SoftmaxLayer
from pipeline.theory.batch_size.training import batches

__all__ = ["PeakMemory", "update_bytes", "update_seconds"]

NUM_ROUNDS = 10
"""How often all sizes are timed in turn, so that what slows the processor meets each alike."""
BLOCK_S = 0.02
"""Seconds of updates, at least one, that are timed at a time."""
RATE = 0.01
"""What the updates cost doesn't depend on it."""


def update_seconds(layer: SoftmaxLayer, sizes: Sequence[int]) -> dict[int, dict[int, float]]:
    """Time updates with mini-batches of several sizes, in turn; the first round is for warming up.

    It is the processor's time for this thread: waiting for other programs doesn't count.

    Args:
        layer: the network that is updated.
        sizes: examples per mini-batch; the size of the whole set means that it is used as it lies.

    Returns:
        Seconds per update, fetching the examples included, by size and by round from 1.
    """
    orders = {size: batches(len(layer.labels), size, [0]) for size in sizes}
    rounds = [
        {size: _block_seconds(layer, orders[size]) for size in sizes} for _ in range(1 + NUM_ROUNDS)
    ]
    return {
        size: {number: found[size] for number, found in enumerate(rounds) if number}
        for size in sizes
    }


def _block_seconds(layer: SoftmaxLayer, order: Iterator[Rows]) -> float:
    spent_s, num_updates = 0.0, 0
    while spent_s < BLOCK_S:
        rows = next(order)
        start_s = time.thread_time()
        layer.step(rows, RATE)
        spent_s += time.thread_time() - start_s
        num_updates += 1
    return spent_s / num_updates


def update_bytes(layer: SoftmaxLayer, size: int) -> int:
    """Return the most memory that an update's tensors take at a time.

    These are its examples, fetched from the training set, and what is computed from them; the
    training set and the network's parameters were there before and don't count.
    """
    rows = torch.arange(size).unsqueeze(0)
    with PeakMemory() as memory:
        layer.step(rows, RATE)
    return memory.peak


class PeakMemory(TorchFunctionMode):
    """Counts the bytes of the tensors that are made while it is entered, and live at a time.

    What an operation needs for itself and gives back before it returns is not seen.

    Attributes:
        peak: the most bytes at a time.
    """

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0
        self._old: set[int] = set()
        self._bytes: dict[int, int] = {}
        self._owners: Counter[int] = Counter()

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call an operation of torch, and count what it returns."""
        del types
        self._old |= {_place(arg) for arg in args if isinstance(arg, Tensor)} - self._bytes.keys()
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor):
            self._count(result)
        return result

    def _count(self, tensor: Tensor) -> None:
        """Count a tensor's memory until the last tensor that shares it is gone."""
        place = _place(tensor)
        if place in self._old:
            return
        self._bytes[place] = tensor.untyped_storage().nbytes()
        self._owners[place] += 1
        weakref.finalize(tensor, self._release, place)
        self.peak = max(self.peak, sum(self._bytes.values()))

    def _release(self, place: int) -> None:
        self._owners[place] -= 1
        if not self._owners[place]:
            del self._bytes[place]


def _place(tensor: Tensor) -> int:
    """Return where a tensor's memory begins: views of the same memory have it in common."""
    return tensor.untyped_storage().data_ptr()
