"""Which runs of a sweep train together as one batched network, and which don't, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from pipeline.config.schema import Config
from pipeline.data.catalog import find_dataset

__all__ = ["MAX_MEMBERS", "MAX_MEMORY_MB", "Group", "bytes_per_member", "plan_groups"]

NUM_CLASSES = 10

MAX_MEMBERS = 1000
"""Runs of one group, unless a sweep says otherwise."""

MAX_MEMORY_MB = 4000.0
"""Memory of one group, unless a sweep says otherwise."""


@dataclass
class Group:
    """Runs that train together; `members` are their positions in the sweep."""

    members: list[int] = field(default_factory=list[int])
    reason: str | None = None
    """Why the only member trains alone; None for a fused group."""


def plan_groups(
    configs: Sequence[Config],
    *,
    max_members: int = MAX_MEMBERS,
    max_memory_mb: float = MAX_MEMORY_MB,
) -> list[Group]:
    """Divide the runs of a sweep into groups, in the order of each group's first run.

    Runs share a group if they have the same data, split, batch size, epochs, layer widths,
    activation, outputs, optimizer rule, precision and device. All other choices are numbers of
    a member: loss, penalty, dropout, learning rate, initial weights, seed. Groups are as equal
    in size as the limits allow.

    Args:
        configs: checked configs, job by job.
        max_members: runs per group, at most.
        max_memory_mb: for weights, gradients, optimizer state and activations of a group.

    Returns:
        Groups that together hold every position once.
    """
    alike: dict[object, list[int]] = {}
    groups: list[Group] = []
    for position, config in enumerate(configs):
        if config.trainer.early_stopping:
            groups.append(Group([position], "early stopping ends each run at its own epoch"))
        else:
            alike.setdefault(_shape(config), []).append(position)
    for positions in alike.values():
        member_mb = bytes_per_member(configs[positions[0]]) / 2**20
        limit = max(1, min(max_members, int(max_memory_mb / member_mb)))
        num_groups = -(-len(positions) // limit)
        size = -(-len(positions) // num_groups)
        groups += [
            Group(positions[first : first + size]) for first in range(0, len(positions), size)
        ]
    return sorted(groups, key=lambda group: group.members[0])


def bytes_per_member(config: Config) -> int:
    """Return an estimate of the memory that one member of a group takes at most while it trains.

    Its weights, their gradients, up to two moments of the optimizer and one temporary; and the
    inputs, weighted inputs, activations and errors of one mini-batch. Members with the same seed
    that drop the same inputs, or none, share the inputs and take less.
    """
    sizes = [find_dataset(config.data.name).num_features, *config.model.hidden, NUM_CLASSES]
    weights = sum((inputs + 1) * outputs for inputs, outputs in pairwise(sizes))
    copies = 5 if config.optimizer.name in ("adam", "adamw") else 4
    units = sum(sizes[1:])
    item = 8 if config.trainer.precision == "float64" else 4
    return item * (copies * weights + (sizes[0] + 3 * units) * config.data.batch_size)


def _shape(config: Config) -> object:
    """Return what the members of a group have in common."""
    return (
        config.root,
        config.tracking.uri,
        config.data.name,
        config.data.root,
        config.data.num_train,
        config.data.num_val,
        config.data.batch_size,
        config.model.output,
        config.model.activation,
        tuple(config.model.hidden),
        config.optimizer.name,
        config.trainer.accelerator,
        config.trainer.max_epochs,
        config.trainer.precision,
        config.trainer.deterministic,
    )
