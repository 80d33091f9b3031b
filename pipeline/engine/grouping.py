"""Which runs of a sweep train together as one batched network."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise

from pipeline.config.keys import plain
from pipeline.config.schema import Config
from pipeline.data.facts import find_facts

__all__ = [
    "MAX_MEMBERS",
    "MAX_MEMORY_MB",
    "PER_MEMBER",
    "bytes_per_member",
    "multiplications",
    "multiplications_in_all",
    "plan_groups",
    "plan_jobs",
    "steps_per_epoch",
]

MAX_MEMBERS = 1000
"""Runs of one group, unless a sweep says otherwise."""

MAX_MEMORY_MB = 4000.0
"""Memory of one group, unless a sweep says otherwise."""

CACHE_BYTES = 8 * 2**20
"""What a step of a group may touch again and again: one core's share of the last cache. With four
times as much, members of 784-100-10 take 1.2 times as long each (benchmarks/fused.py)."""

WORTH_A_CORE = 3_000_000
"""Multiplications of a step that take a core as long as the step's other work does."""

WORTH_A_JOB = 100 * 5 * 550 * 784 * 10 * 132
"""Multiplications of a cluster's job, those that updates are worth too, that take about as long as
its start: a hundred runs of 784-10 for five epochs."""

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
    "attack.name",
    "attack.epsilon",
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
    num_cores: int | None = None,
    num_gpus: int = 1,
) -> list[list[int]]:
    """Divide the runs of a sweep into groups, in the order of each group's first run.

    Runs share a group if they differ in nothing but what is PER_MEMBER. Groups of such runs are
    as equal in size as the limits allow.

    Args:
        configs: checked configs, run by run.
        max_members: runs per group, at most.
        max_memory_mb: for weights, gradients, optimizer state and activations of a group.
        num_cores: which groups fill, one each, if they are worth it: then none is larger than a
            core's cache is quick at. None for groups as large as the other limits allow.
        num_gpus: that groups are spread over evenly, if they don't train on cores.

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
        if num_cores is not None:
            num_groups = _fill_cores(configs[positions[0]], len(positions), num_groups, num_cores)
        else:
            num_groups = min(-(-num_groups // num_gpus) * num_gpus, len(positions))
        size = -(-len(positions) // num_groups)
        groups += [positions[first : first + size] for first in range(0, len(positions), size)]
    return sorted(groups)


def plan_jobs(
    configs: Sequence[Config],
    *,
    members: int | None = None,
    max_memory_mb: float = MAX_MEMORY_MB,
    num_slots: int = 1,
) -> list[list[int]]:
    """Divide the runs of a sweep into the jobs of a cluster, in the order of each one's first run.

    Runs that can train as one group stay together. Without a number, a job gets its share of the
    work if all slots are filled, but no less than is worth its start; small groups share a job.

    Args:
        configs: checked configs, run by run.
        members: runs of a job, at most; None decides by the work.
        max_memory_mb: of a group; see `plan_groups`.
        num_slots: jobs that the cluster runs at the same time.

    Returns:
        Jobs as positions in configs, which together hold every position once.
    """
    if members is not None:
        return plan_groups(configs, max_members=members, max_memory_mb=max_memory_mb)
    work = [multiplications_in_all(config) for config in configs]
    share = max(WORTH_A_JOB, sum(work) / num_slots)
    jobs: list[list[int]] = []
    open_job: list[int] = []
    for group in plan_groups(configs, max_memory_mb=max_memory_mb):
        size = max(1, int(share / work[group[0]]))
        num_parts = -(-len(group) // size)
        size = -(-len(group) // num_parts)
        for first in range(0, len(group), size):
            part = group[first : first + size]
            if sum(work[position] for position in [*open_job, *part]) > share and open_job:
                jobs.append(open_job)
                open_job = []
            open_job = [*open_job, *part]
    return sorted([*jobs, open_job])


def multiplications_in_all(config: Config) -> int:
    """Return the multiplications of all steps of a run, as far as its config says."""
    return config.trainer.num_steps(steps_per_epoch(config)) * _multiplications_per_step(config)


def steps_per_epoch(config: Config) -> int:
    """Return how many mini-batches an epoch has."""
    return -(-find_facts(config.data).num_train // config.data.batch_size)


def _fill_cores(config: Config, num_runs: int, num_groups: int, num_cores: int) -> int:
    """Return how many groups of such runs keep all cores busy, `num_groups` or more."""
    step = _multiplications_per_step(config)
    worth_it = max(1, int(num_runs * step / WORTH_A_CORE))
    cached = -(-num_runs * _bytes_in_step(config) // CACHE_BYTES)
    num_groups = max(num_groups, cached, min(num_cores, worth_it))
    if num_groups > 1:
        num_groups = -(-num_groups // num_cores) * num_cores
    return min(num_groups, num_runs)


def _in_common(config: Config) -> str:
    """Return what the members of a group have in common, as text."""
    shared = {
        key: value
        for key, value in plain(config).items()
        if not any(key == own or key.startswith(f"{own}.") for own in PER_MEMBER)
    }
    if config.data.is_divided_here:
        shared["data.split_seed"] = config.divided_data.split_seed
    return json.dumps(shared, sort_keys=True)


def multiplications(config: Config) -> int:
    """Return how many multiplications a member's largest product of a step has."""
    return max(inputs * units for inputs, units in _shapes(config)) * config.data.batch_size


def _shapes(config: Config) -> list[tuple[int, int]]:
    """Return (inputs, units) of every layer."""
    facts = find_facts(config.data)
    return list(pairwise([facts.num_features, *config.model.hidden, facts.num_classes]))


def _multiplications_per_step(config: Config) -> int:
    """Return those of the products, and as many as the update of the weights is worth."""
    update = 32
    weights = sum(inputs * units for inputs, units in _shapes(config))
    return weights * (config.data.batch_size + update)


def _bytes_in_step(config: Config) -> int:
    """Return what a member's step touches: weights, their gradients, and four numbers a unit."""
    weights = sum((inputs + 1) * units for inputs, units in _shapes(config))
    units = sum(units for _, units in _shapes(config))
    item = 8 if config.trainer.precision == "float64" else 4
    return item * (2 * weights + 4 * units * config.data.batch_size)


def bytes_per_member(config: Config) -> int:
    """Return an estimate of the memory that one member of a group takes at most while it trains.

    Its weights, their gradients, up to two moments of the optimizer, one temporary and what the
    epoch began with; and the inputs, weighted inputs, activations and errors of one mini-batch.
    Members with the same seed that drop the same inputs, or none, share the inputs and take less.
    """
    shapes = _shapes(config)
    weights = sum((inputs + 1) * units for inputs, units in shapes)
    copies = 8 if config.optimizer.name in ("adam", "adamw", "rmsprop") else 5
    units = sum(units for _, units in shapes)
    item = 8 if config.trainer.precision == "float64" else 4
    return item * (copies * weights + (shapes[0][0] + 3 * units) * config.data.batch_size)
