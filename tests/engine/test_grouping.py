"""Which runs train together."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.config.schema import (
    Config,
    DataConfig,
    DropoutConfig,
    LossConfig,
    ModelConfig,
    OptimizerConfig,
    RegularizerConfig,
    TrainerConfig,
)
from pipeline.engine.grouping import bytes_per_member, plan_groups

BASE = Config()


def groups(configs: list[Config], max_members: int = 1000, max_memory_mb: float = 4000):
    planned = plan_groups(configs, max_members=max_members, max_memory_mb=max_memory_mb)
    return [group.members for group in planned]


@pytest.mark.parametrize(
    "other",
    [
        replace(BASE, seed=7),
        replace(BASE, loss=LossConfig("mse")),
        replace(BASE, regularizer=RegularizerConfig("l1", 0.1)),
        replace(BASE, dropout=DropoutConfig("input", 0.5)),
        replace(BASE, optimizer=OptimizerConfig(lr=0.1, weight_decay=0.1)),
        replace(BASE, model=ModelConfig(init="he")),
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


def test_early_stopping_trains_alone_and_says_why():
    stopping = replace(BASE, trainer=TrainerConfig(early_stopping=True))
    planned = plan_groups([BASE, stopping, BASE], max_members=10, max_memory_mb=1000)
    assert [group.members for group in planned] == [[0, 2], [1]]
    assert planned[0].reason is None
    assert "early stopping" in (planned[1].reason or "")
