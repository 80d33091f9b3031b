"""A group in training: its steps, and its members that diverge or stop."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import groupby
from typing import Any

import pytest
import torch
from torch import Tensor

from pipeline.config.schema import (
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
from pipeline.data.tensors import Data, load
from pipeline.engine.evaluation import Evaluation
from pipeline.engine.members import sort_members
from pipeline.engine.module import STEPS_PER_CALL, GroupModule
from pipeline.training.fit import make_trainer
from tests import oracle

pytestmark = pytest.mark.filterwarnings(
    r"ignore:`isinstance\(treespec, LeafSpec\)` is deprecated"  # Lightning's, with this torch
)

NUM_TRAIN = 1237
MLP = ModelConfig(hidden=[15], init="scaled_normal", init_std=1.0)
BOTH = DropoutConfig("both", p_keep_input=0.8, p_keep_hidden=0.5)


def make_config(*, batch_size: int = 20, epochs: int = 1, **groups: Any) -> Config:
    data = DataConfig("digits", batch_size=batch_size, num_train=NUM_TRAIN, num_val=200)
    trainer = groups.pop("trainer", TrainerConfig("cpu", max_epochs=epochs))
    return Config(data=data, trainer=trainer, **groups)


def digits(config: Config) -> Data:
    return load(config.data, getattr(torch, config.trainer.precision))


def fit(*configs: Config) -> tuple[GroupModule, Evaluation]:
    module, evaluation = GroupModule(configs, digits(configs[0])), Evaluation(len(configs))
    make_trainer(configs[0].trainer, [evaluation]).fit(module)
    return module, evaluation


def weights(module: GroupModule, member: int = 0) -> list[Tensor]:
    return list(module.parameters_of(member).values())


def same_bits(ones: list[Tensor], others: list[Tensor]) -> bool:
    return all(torch.equal(one, other) for one, other in zip(ones, others, strict=True))


@pytest.mark.parametrize("num_steps", [STEPS_PER_CALL - 1, STEPS_PER_CALL, 2 * STEPS_PER_CALL + 1])
def test_no_step_is_lost_or_repeated_where_lightnings_calls_meet(num_steps: int):
    config = make_config(batch_size=10, trainer=TrainerConfig("cpu", 1, precision="float64"))
    config.data.num_train = 10 * num_steps - 3
    module, _ = fit(config)
    assert module.num_steps == num_steps
    for found, expected in zip(
        weights(module), oracle.train(config, digits(config)).parameters, strict=True
    ):
        torch.testing.assert_close(found, expected.detach(), rtol=1e-9, atol=1e-12)


def test_same_seed_same_bits_other_seed_others():
    config = make_config(model=MLP, dropout=BOTH)
    module, evaluation = fit(config)
    again, same = fit(config)
    assert same_bits(weights(module), weights(again))
    assert evaluation.epochs == same.epochs
    other, _ = fit(replace(config, seed=1))
    for one, another in zip(weights(module), weights(other), strict=True):
        assert not torch.isclose(one, another).all()


def test_float32_starts_from_the_float64_numbers_rounded():
    single = make_config(model=MLP)
    double = replace(single, trainer=TrainerConfig("cpu", precision="float64"))
    modules = [GroupModule([config], digits(config)) for config in (single, double)]
    for one, other in zip(*map(weights, modules), strict=True):
        assert torch.equal(one, other.float())


def test_a_regularizer_leaves_the_biases_alone():
    plain = make_config(batch_size=NUM_TRAIN, model=MLP)  # one step
    penalised = replace(plain, regularizer=RegularizerConfig("elastic", 0.1, 0.5))
    w1, b1, w2, b2 = weights(fit(plain)[0])
    small_w1, same_b1, small_w2, same_b2 = weights(fit(penalised)[0])
    assert same_bits([b1, b2], [same_b1, same_b2])
    assert small_w1.norm() < w1.norm()
    assert small_w2.norm() < w2.norm()


def test_a_penalty_is_no_part_of_the_loss_that_is_reported():
    plain = make_config(optimizer=OptimizerConfig("sgd", lr=1e-12))
    penalised = replace(plain, regularizer=RegularizerConfig("l1", 1.0))
    (without,), (with_penalty,) = (fit(config)[1].epochs for config in (plain, penalised))
    assert with_penalty[1] == pytest.approx(without[1], rel=1e-6)


def test_phase_says_when_units_are_dropped():
    def with_phase(phase: str) -> tuple[list[Tensor], dict[str, float]]:
        module, evaluation = fit(
            make_config(model=MLP, dropout=DropoutConfig("hidden", 0.5, phase=phase))
        )
        return weights(module), evaluation.epochs[0][1]

    module, evaluation = fit(make_config(model=MLP))
    never_weights, never = weights(module), evaluation.epochs[0][1]
    train_weights, train = with_phase("train")
    test_weights, test = with_phase("test")
    always_weights, always = with_phase("always")
    assert same_bits(test_weights, never_weights)
    assert same_bits(train_weights, always_weights)
    assert not same_bits(train_weights, never_weights)
    assert test["test/loss"] > never["test/loss"]
    assert always["test/loss"] > train["test/loss"]


def test_p_keep_one_is_no_dropout():
    module, evaluation = fit(make_config(dropout=DropoutConfig("input", 1.0, phase="always")))
    without, same = fit(make_config())
    assert same_bits(weights(module), weights(without))
    assert evaluation.epochs == same.epochs


DIVERGING = {
    "beyond Lightning's first call": make_config(
        epochs=2,
        batch_size=10,
        optimizer=OptimizerConfig(lr=1.0),
        regularizer=RegularizerConfig("l2", 3.0),
    ),
    "in the second epoch": make_config(
        epochs=2, optimizer=OptimizerConfig(lr=1.0), regularizer=RegularizerConfig("l2", 2.5)
    ),
    "while the rate grows": make_config(
        epochs=2,
        optimizer=OptimizerConfig(lr=1.0),
        schedule=ScheduleConfig(warmup_epochs=1.5),
        regularizer=RegularizerConfig("l2", 3.5),
    ),
    "with dropout": make_config(
        epochs=2,
        batch_size=10,
        model=MLP,
        dropout=BOTH,
        optimizer=OptimizerConfig(lr=1.0),
        regularizer=RegularizerConfig("l2", 3.0),
    ),
}


@pytest.mark.parametrize("config", DIVERGING.values(), ids=DIVERGING)
@pytest.mark.parametrize("in_company", [False, True])
def test_a_loss_that_is_not_finite_is_named_with_its_step(config: Config, *, in_company: bool):
    with pytest.raises(FloatingPointError) as diverged:
        oracle.train(config, digits(config))
    epoch, step = diverged.value.args
    sane = replace(config, regularizer=RegularizerConfig())
    configs = [sane, config, replace(sane, seed=1)] if in_company else [config]
    configs = [configs[position] for position in sort_members(configs)]
    module, evaluation = fit(*configs)
    member = configs.index(config)
    assert list(module.failures) == [member]
    text = module.failures[member]
    assert text.startswith(f"the loss is not finite in epoch {epoch} at step {step} of ")
    assert "optimizer.lr than 1.0" in text
    assert [len(epochs) for epochs in evaluation.epochs] == [
        epoch - 1 if number == member else 2 for number in range(len(configs))
    ]


def test_a_huge_learning_rate_is_reported_as_divergence():
    config = make_config(
        model=ModelConfig(hidden=[20], activation="relu"),
        loss=LossConfig("quadratic", "sum"),
        optimizer=OptimizerConfig(lr=1e30),
    )
    module, _ = fit(config)
    assert re.match(".*not finite in epoch 1 at step 2 of 62", module.failures[0])


def test_weights_that_overflow_in_the_last_step_are_noticed():
    config = make_config(
        batch_size=NUM_TRAIN,
        model=ModelConfig(hidden=[20], activation="relu", output="sigmoid", init_std=100.0),
        loss=LossConfig("ce", "sum"),
        optimizer=OptimizerConfig(lr=1e38),
    )
    module, _ = fit(config)
    assert module.failures[0].startswith("a weight is not finite in epoch 1 at step 1 of 1")


def test_a_member_that_diverges_leaves_the_others_as_they_are():
    wild = OptimizerConfig("sgd", 1e30, weight_decay=1e30)
    sane = OptimizerConfig("sgd", 0.1)
    trainer = TrainerConfig("cpu", max_epochs=2, precision="float64")
    configs = [
        make_config(seed=seed, optimizer=optimizer, trainer=trainer)
        for seed, optimizer in [(0, sane), (0, wild), (1, sane)]
    ]
    module, _ = fit(*configs)
    assert list(module.failures) == [1]
    for member in (0, 2):
        expected = oracle.train(configs[member], digits(configs[member])).parameters
        for found, wanted in zip(weights(module, member), expected, strict=True):
            torch.testing.assert_close(found, wanted.detach(), rtol=1e-7, atol=1e-12)


def test_a_group_whose_members_have_all_diverged_ends_at_once():
    bad = make_config(epochs=500, optimizer=OptimizerConfig(lr=1e38, weight_decay=1e38))
    module, evaluation = fit(bad, replace(bad, seed=1))
    assert list(module.failures) == [0, 1]
    assert module.trainer.current_epoch <= 1
    assert evaluation.epochs == [{}, {}]


STOPPING = TrainerConfig("cpu", max_epochs=80, early_stopping=True, patience=2)


def test_a_member_that_stops_early_is_what_it_would_be_alone_while_others_go_on():
    base = make_config(trainer=STOPPING, batch_size=100)
    configs = [
        replace(base, optimizer=OptimizerConfig(lr=5.0)),
        replace(base, optimizer=OptimizerConfig(lr=1.0)),
        replace(
            base,
            optimizer=OptimizerConfig(lr=8.0),
            schedule=ScheduleConfig("cosine", 2.0, end_factor=0.1),
        ),
        replace(base, trainer=replace(STOPPING, early_stopping=False, max_epochs=80)),
        replace(base, seed=1, dropout=DropoutConfig("input", 0.5, phase="test")),
    ]
    configs = [configs[position] for position in sort_members(configs)]
    module, evaluation = fit(*configs)
    lengths = [len(epochs) for epochs in evaluation.epochs]
    stops = [config.trainer.early_stopping for config in configs]
    assert {length for length, stop in zip(lengths, stops, strict=True) if not stop} == {80}
    assert len({length for length, stop in zip(lengths, stops, strict=True) if stop}) > 1
    assert module.stopped == {member for member, length in enumerate(lengths) if length < 80}
    for member, config in enumerate(configs):
        alone, expected = fit(config)
        assert len(expected.epochs[0]) == lengths[member]
        for epoch, metrics in evaluation.epochs[member].items():
            assert metrics == pytest.approx(expected.epochs[0][epoch], rel=1e-3, abs=3e-3)
        for found, wanted in zip(weights(module, member), weights(alone), strict=True):
            torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-3)
        same = evaluation.test_predictions[member] == expected.test_predictions[0]
        assert same.double().mean() > 0.99


def test_a_group_whose_members_have_all_stopped_ends():
    base = make_config(trainer=STOPPING, batch_size=100)
    configs = [replace(base, optimizer=OptimizerConfig(lr=lr)) for lr in (5.0, 2.0)]
    module, evaluation = fit(*configs)
    assert module.active == []
    assert module.trainer.current_epoch == max(map(len, evaluation.epochs)) < 80


def test_members_that_read_the_same_inputs_lie_together():
    configs = [
        Config(seed, regularizer=regularizer, dropout=dropout)
        for regularizer in (RegularizerConfig(), RegularizerConfig("l1", 0.1))
        for dropout in (DropoutConfig(), DropoutConfig("input", 0.8))
        for seed in (0, 1)
    ]
    ordered = [configs[position] for position in sort_members(configs)]
    read = [(config.seed, config.dropout.name) for config in ordered]
    assert len([key for key, _ in groupby(read)]) == len(set(read)) == 4
