"""Independent streams of random numbers, all of them from a run's seed.

A stream is named by what it is for and, where it restarts, by the epoch: initial weights, order
of the examples, dropout draws of one layer. What one stream draws never shifts another, so a run
without dropout sees the same batches as one with it, and a run can start again at any epoch.
"""

from __future__ import annotations

import hashlib

import torch
from jaxtyping import Int
from torch import Generator, Tensor

__all__ = ["example_order", "generator"]


def generator(seed: int, *name: str | int) -> Generator:
    """Return a generator on the CPU whose stream depends on the seed and the name alone.

    Args:
        seed: the run's seed, ≥ 0.
        name: what the stream is for, such as ("order", epoch).
    """
    label = "/".join(map(str, (seed, *name)))
    digest = hashlib.sha256(label.encode()).digest()
    return Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def example_order(seed: int, epoch: int, num_examples: int) -> Int[Tensor, " examples"]:
    """Return the order in which an epoch visits the training examples: a permutation."""
    return torch.randperm(num_examples, generator=generator(seed, "order", epoch))
