"""Which GPUs of this machine the groups of a sweep are spread over."""

from __future__ import annotations

import os
from collections.abc import Sequence

import torch

from pipeline.config.schema import Config
from pipeline.engine.grouping import multiplications_in_all

__all__ = ["gpu_names", "pick_gpus", "visible_gpus"]

WORTH_A_GPU = 4_000_000_000_000
"""Multiplications that take a GPU as long as it takes to start another process, some 4 s: an H200
does those of 1,000 runs of 784-10 for one epoch, 570 thousand millions, in 0.56 s
(benchmarks/fused.py)."""


def visible_gpus() -> list[str]:
    """Return the GPUs that this process may use, by their names in CUDA_VISIBLE_DEVICES."""
    return gpu_names(os.environ.get("CUDA_VISIBLE_DEVICES"), torch.cuda.device_count())


def gpu_names(said: str | None, count: int) -> list[str]:
    """Return the names of GPUs.

    Args:
        said: what CUDA_VISIBLE_DEVICES says; None or "" if it doesn't say which.
        count: how many of them CUDA finds; it takes those before the first that isn't there.
    """
    names = said.split(",") if said else map(str, range(count))
    return [name.strip() for name in names][:count]


def pick_gpus(
    visible: Sequence[str], configs: Sequence[Config], num_workers: int | None
) -> list[str]:
    """Return those of the visible GPUs that runs are spread over: as many as they are worth.

    Args:
        visible: at least one.
        configs: of the runs.
        num_workers: GPUs at most; None for all.
    """
    limit = min(num_workers or len(visible), len(visible), len(configs))
    if limit > 1:
        work = sum(map(multiplications_in_all, configs))
        limit = max(1, min(limit, work // WORTH_A_GPU))
    return list(visible[:limit])
