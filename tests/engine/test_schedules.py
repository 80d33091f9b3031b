"""Every schedule gives torch's own rates at every step. A new one adds its row to CONFIGS."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product

import pytest
import torch

from pipeline.config import registry
from pipeline.config.options import options
from pipeline.config.schema import Config, OptimizerConfig, ScheduleConfig, TrainerConfig
from pipeline.engine.schedules import Rates
from tests import oracle

STEPS_PER_EPOCH, EPOCHS = 7, 6

CONFIGS = [
    ScheduleConfig("constant"),
    ScheduleConfig("step", 0.0, 0.1, 2),
    ScheduleConfig("step", 0.0, 0.7, 1),
    ScheduleConfig("exponential", 0.0, 0.8),
    ScheduleConfig("exponential", 0.0, 1.0),
    ScheduleConfig("cosine", end_factor=0.0),
    ScheduleConfig("cosine", end_factor=0.25),
]
WARM_UPS = [0.0, 0.1, 0.5, 1.0, 2.3, 5.9]  # 0, 1, 4 (rounded), 7, 16 and 41 steps


def of_run(schedule: ScheduleConfig, lr: float = 0.3) -> Config:
    trainer = TrainerConfig(max_epochs=EPOCHS)
    return Config(optimizer=OptimizerConfig(lr=lr), schedule=schedule, trainer=trainer)


def torchs_rates(config: Config) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], config.optimizer.lr)
    scheduler = oracle.make_scheduler(optimizer, config, STEPS_PER_EPOCH)
    rates: list[float] = []
    for _ in range(EPOCHS * STEPS_PER_EPOCH):
        rates.append(float(scheduler.get_last_lr()[0]))
        optimizer.step()
        scheduler.step()
    return rates


def test_every_schedule_has_a_row_and_a_yaml():
    rows = {config.name for config in CONFIGS}
    for name in registry.names("schedule"):
        assert name in rows, f"add a row for {name} to CONFIGS in tests/engine/test_schedules.py"
        assert name in options("schedule"), f"add conf/schedule/{name}.yaml"
    assert rows == set(options("schedule")) == set(registry.names("schedule"))


def test_members_that_differ_in_everything_have_torchs_rates_at_every_step():
    schedules = [replace(c, warmup_epochs=w) for c, w in product(CONFIGS, WARM_UPS)]
    configs = [of_run(schedule, 0.1 * (1 + n % 3)) for n, schedule in enumerate(schedules)]
    rates = Rates(configs, STEPS_PER_EPOCH)
    assert not rates.is_constant
    by_member = rates.at(range(EPOCHS * STEPS_PER_EPOCH)).T.tolist()
    for config, found in zip(configs, by_member, strict=True):
        assert found == pytest.approx(torchs_rates(config), rel=1e-12, abs=0), config.schedule


def test_a_warm_up_grows_by_the_same_with_every_step_and_ends_at_the_rate():
    rates = Rates([of_run(ScheduleConfig(warmup_epochs=4 / 7), 0.8)], STEPS_PER_EPOCH)
    assert rates.at(range(6)).flatten().tolist() == pytest.approx([0.2, 0.4, 0.6, 0.8, 0.8, 0.8])


def test_what_the_schedules_are_at_the_ends_of_epochs():
    schedules = [
        ScheduleConfig("step", 0.0, 0.5, 2),
        ScheduleConfig("exponential", 0.0, 0.5),
        ScheduleConfig("cosine", end_factor=0.2),
    ]
    rates = Rates([of_run(schedule, 1.0) for schedule in schedules], STEPS_PER_EPOCH)
    starts = [rates.at(range(n * 7, n * 7 + 1))[0].tolist() for n in range(4)]
    halfway = 0.2 + 0.8 / 2
    quarter = 0.2 + 0.8 * (1 + math.cos(math.pi / 6)) / 2
    assert [row[0] for row in starts] == pytest.approx([1, 1, 0.5, 0.5])
    assert [row[1] for row in starts] == pytest.approx([1, 0.5, 0.25, 0.125])
    assert starts[1][2] == pytest.approx(quarter)
    assert starts[3][2] == pytest.approx(halfway)


def test_rates_depend_on_the_step_alone_so_that_a_run_can_go_on_from_any():
    configs = [of_run(replace(c, warmup_epochs=1.5)) for c in CONFIGS]
    whole = Rates(configs, STEPS_PER_EPOCH).at(range(42))
    again = Rates(configs, STEPS_PER_EPOCH)
    assert torch.equal(torch.cat([again.at(range(21)), again.at(range(21, 42))]), whole)
    assert torch.equal(Rates(configs, STEPS_PER_EPOCH).at(range(28, 42)), whole[28:])


def test_a_stopped_member_has_the_rate_0_and_the_others_theirs():
    rates = Rates([of_run(config) for config in CONFIGS], STEPS_PER_EPOCH)
    before = rates.at(range(10, 20))
    rates.stop([1, 6])
    after = rates.at(range(10, 20))
    assert not after[:, [1, 6]].any()
    assert torch.equal(after[:, [0, 2, 3, 4, 5]], before[:, [0, 2, 3, 4, 5]])


def test_constant_rates_are_known_to_be_so():
    assert Rates([of_run(ScheduleConfig())] * 2, STEPS_PER_EPOCH).is_constant
    assert not Rates([of_run(ScheduleConfig(warmup_epochs=0.5))], STEPS_PER_EPOCH).is_constant
