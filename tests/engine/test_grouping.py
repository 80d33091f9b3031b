"""Which runs train together."""

from __future__ import annotations

from dataclasses import asdict, fields, is_dataclass, make_dataclass, replace

import pytest
import torch

from pipeline.config.schema import (
    AttackConfig,
    Config,
    DataConfig,
    DropoutConfig,
    LossConfig,
    ModelConfig,
    OptimizerConfig,
    RegularizerConfig,
    ScheduleConfig,
    TrainerConfig,
)
from pipeline.engine.grouping import PER_MEMBER, bytes_per_member, plan_groups, plan_jobs
from pipeline.engine.members import Members
from pipeline.engine.schedules import Rates

BASE = Config()


def groups(configs: list[Config], max_members: int = 1000, max_memory_mb: float = 4000):
    return plan_groups(configs, max_members=max_members, max_memory_mb=max_memory_mb)


@pytest.mark.parametrize(
    "other",
    [
        replace(BASE, seed=7),
        replace(BASE, loss=LossConfig("mse")),
        replace(BASE, regularizer=RegularizerConfig("l1", 0.1)),
        replace(BASE, dropout=DropoutConfig("input", 0.5)),
        replace(BASE, optimizer=OptimizerConfig(lr=0.1, weight_decay=0.1)),
        replace(BASE, schedule=ScheduleConfig("step", 1.0, 0.5, 2)),
        replace(BASE, model=ModelConfig(init="he")),
        replace(BASE, trainer=TrainerConfig(early_stopping=True)),
        replace(BASE, attack=AttackConfig("fgsm", 0.25)),
    ],
)
def test_runs_that_differ_in_numbers_train_together(other: Config):
    assert groups([BASE, other]) == [[0, 1]]


@pytest.mark.parametrize(
    "other",
    [
        replace(BASE, model=ModelConfig([30])),
        replace(BASE, model=ModelConfig(output="sigmoid"), loss=LossConfig("ce")),
        replace(BASE, optimizer=OptimizerConfig("momentum", momentum=0.9)),
        replace(BASE, data=DataConfig(batch_size=10)),
        replace(BASE, data=DataConfig("fashion_mnist")),
        replace(BASE, trainer=TrainerConfig(max_epochs=6)),
        replace(BASE, trainer=TrainerConfig(precision="float64")),
        replace(BASE, trainer=TrainerConfig("cpu")),
    ],
)
def test_runs_of_another_shape_do_not(other: Config):
    assert groups([BASE, other, BASE]) == [[0, 2], [1]]


def test_groups_are_split_evenly_at_the_limits():
    assert groups([BASE] * 5, max_members=3) == [[0, 1, 2], [3, 4]]
    limit_mb = 2.5 * bytes_per_member(BASE) / 2**20
    assert groups([BASE] * 4, max_memory_mb=limit_mb) == [[0, 1], [2, 3]]


def test_a_member_that_is_too_big_trains_alone():
    assert groups([BASE] * 2, max_memory_mb=1e-9) == [[0], [1]]


@pytest.mark.parametrize("part", [field.name for field in fields(Config) if field.name != "seed"])
def test_a_key_that_is_added_to_the_schema_splits_groups_or_counts_for_each_member(part: str):
    """One that nobody thought of can't be ignored."""
    if not is_dataclass(getattr(BASE, part)):
        values = (True, False) if part == "dry_run" else ("here", "there")
        configs = [replace(BASE, **{part: value}) for value in values]
    else:
        kind = type(getattr(BASE, part))
        longer = make_dataclass("Longer", [("surprise", float, 0.0)], bases=(kind,))
        configs = [replace(BASE, **{part: longer(surprise=value)}) for value in (0.0, 1.0)]
    if part == "loss":
        members = Members(configs, torch.device("cpu"))
        assert [loss.config.surprise for loss, _ in members.losses] == [0.0, 1.0]  # pyright: ignore[reportAttributeAccessIssue]
    elif part == "regularizer":
        for config in configs:
            config.regularizer.name, config.regularizer.strength = "l2", 0.1
        members = Members(configs, torch.device("cpu"))
        kinds = [block.regularizer.config.surprise for block in members.regularized]  # pyright: ignore[reportAttributeAccessIssue]
        assert kinds == [0.0, 1.0]
    elif part == "schedule":
        ((schedule, _),) = Rates(configs, 1)._schedules
        assert [config.surprise for config in schedule.configs] == [0.0, 1.0]  # pyright: ignore[reportAttributeAccessIssue]
    else:
        assert groups(configs) == [[0], [1]]


def test_what_members_have_for_themselves_are_keys_of_the_schema():
    parts = {part: keys for part, keys in asdict(BASE).items() if isinstance(keys, dict)}
    keys = {*asdict(BASE), *(f"{part}.{key}" for part, keys in parts.items() for key in keys)}
    assert set(PER_MEMBER) <= keys


def seeds(number: int, config: Config = BASE) -> list[Config]:
    return [replace(config, seed=seed) for seed in range(number)]


def test_a_cluster_gets_jobs_that_are_worth_their_start():
    """10,000 runs on 256 slots are 100 jobs of 100, and not 256 of 40."""
    assert [len(job) for job in plan_jobs(seeds(10_000), num_slots=256)] == [100] * 100


def test_jobs_grow_where_slots_are_few_and_shrink_where_runs_take_long():
    assert [len(job) for job in plan_jobs(seeds(1000), num_slots=2)] == [500, 500]
    longer = replace(BASE, trainer=TrainerConfig(max_epochs=50))
    assert [len(job) for job in plan_jobs(seeds(100, longer), num_slots=256)] == [10] * 10


def test_small_groups_share_a_job_and_a_large_one_does_not_split_them():
    kinds = [replace(BASE, data=DataConfig(batch_size=size)) for size in (50, 100, 200, 500)]
    mixed = [run for kind in kinds for run in seeds(10, kind)]
    assert plan_jobs(mixed, num_slots=256) == [list(range(40))]


def test_the_number_of_runs_of_a_job_can_be_said():
    jobs = plan_jobs(seeds(10), members=3)
    assert sorted(position for job in jobs for position in job) == list(range(10))
    assert max(map(len, jobs)) <= 3
