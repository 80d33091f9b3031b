"""Which runs of a sweep train together as one batched network."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise

from pipeline.config.keys import plain
from pipeline.config.schema import Config
from pipeline.data.catalog import find_dataset

__all__ = ["MAX_MEMBERS", "MAX_MEMORY_MB", "PER_MEMBER", "bytes_per_member", "plan_groups"]

MAX_MEMBERS = 1000
"""Runs of one group, unless a sweep says otherwise."""

MAX_MEMORY_MB = 4000.0
"""Memory of one group, unless a sweep says otherwise."""

PER_MEMBER = (
    "seed",
    "loss",
    "regularizer",
    "dropout.name",
    "dropout.p_keep",
    "dropout.p_keep_input",
    "dropout.p_keep_hidden",
    "dropout.phase",
    "optimizer.lr",
    "optimizer.momentum",
    "optimizer.betas",
    "optimizer.alpha",
    "optimizer.eps",
    "optimizer.weight_decay",
    "optimizer.clip_norm",
    "schedule",
    "model.init",
    "model.init_std",
    "trainer.early_stopping",
    "trainer.patience",
    "tracking.experiment_name",
    "tracking.tags",
)
"""The config's keys, and parts of it, that each member of a group has for itself.

All others are what a group has in common, also those that are added to the schema later: runs that
differ in one of them never train together, so that none can be ignored. Of `loss`,
`regularizer` and `schedule` every key counts, whatever it is.
"""


def plan_groups(
    configs: Sequence[Config],
    *,
    max_members: int = MAX_MEMBERS,
    max_memory_mb: float = MAX_MEMORY_MB,
) -> list[list[int]]:
    """Divide the runs of a sweep into groups, in the order of each group's first run.

    Runs share a group if they differ in nothing but what is PER_MEMBER. Groups are as equal in
    size as the limits allow.

    Args:
        configs: checked configs, run by run.
        max_members: runs per group, at most.
        max_memory_mb: for weights, gradients, optimizer state and activations of a group.

    Returns:
        Groups as positions in configs, which together hold every position once.
    """
    alike: dict[str, list[int]] = {}
    for position, config in enumerate(configs):
        alike.setdefault(_in_common(config), []).append(position)
    groups: list[list[int]] = []
    for positions in alike.values():
        member_mb = bytes_per_member(configs[positions[0]]) / 2**20
        limit = max(1, min(max_members, int(max_memory_mb / member_mb)))
        num_groups = -(-len(positions) // limit)
        size = -(-len(positions) // num_groups)
        groups += [positions[first : first + size] for first in range(0, len(positions), size)]
    return sorted(groups)


def _in_common(config: Config) -> str:
    """Return what the members of a group have in common, as text."""
    shared = {
        key: value
        for key, value in plain(config).items()
        if not any(key == own or key.startswith(f"{own}.") for own in PER_MEMBER)
    }
    return json.dumps(shared, sort_keys=True)


def bytes_per_member(config: Config) -> int:
    """Return an estimate of the memory that one member of a group takes at most while it trains.

    Its weights, their gradients, up to two moments of the optimizer, one temporary and what the
    epoch began with; and the inputs, weighted inputs, activations and errors of one mini-batch.
    Members with the same seed that drop the same inputs, or none, share the inputs and take less.
    """
    dataset = find_dataset(config.data.name)
    sizes = [dataset.num_features, *config.model.hidden, dataset.num_classes]
    weights = sum((inputs + 1) * outputs for inputs, outputs in pairwise(sizes))
    copies = 8 if config.optimizer.name in ("adam", "adamw", "rmsprop") else 5
    units = sum(sizes[1:])
    item = 8 if config.trainer.precision == "float64" else 4
    return item * (copies * weights + (sizes[0] + 3 * units) * config.data.batch_size)
