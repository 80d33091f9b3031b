"""bfloat16 in the products of training, float32 in all else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.nn import functional as F  # noqa: N812  (torch's own convention)

from pipeline.config.schema import (
    Config,
    DataConfig,
    DropoutConfig,
    ModelConfig,
    OptimizerConfig,
    RegularizerConfig,
    TrainerConfig,
)
from pipeline.data.tensors import load
from pipeline.engine.evaluation import Evaluation
from pipeline.engine.members import sort_members
from pipeline.engine.module import GroupModule
from pipeline.training.fit import make_trainer

pytestmark = pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.` is deprecated")

DEEP = ModelConfig([30, 20], "tanh", init="xavier")
DATA = load(DataConfig("digits", num_train=1000, num_val=200, batch_size=1))


def of_digits(precision: str, max_steps: int | None = None, **groups: Any) -> Config:
    trainer = TrainerConfig("cpu", 4, max_steps, precision=precision)
    data = DataConfig("digits", batch_size=20, num_train=1000, num_val=200)
    return Config(data=data, trainer=trainer, **groups)


def fit(*configs: Config) -> tuple[GroupModule, Evaluation]:
    module, evaluation = GroupModule(configs, DATA), Evaluation(len(configs))
    make_trainer(configs[0].trainer, [evaluation]).fit(module)
    return module, evaluation


CHOICES: dict[str, dict[str, Any]] = {
    "one layer": {},
    "hidden layers": {"model": DEEP},
    "a regularizer": {"model": DEEP, "regularizer": RegularizerConfig("l2", 0.01)},
    "dropped units": {"model": DEEP, "dropout": DropoutConfig("both", None, 0.9, 0.7)},
    "momentum": {"model": DEEP, "optimizer": OptimizerConfig("momentum", 0.05, 0.9)},
    "adam": {"optimizer": OptimizerConfig("adam", 0.001, None, [0.9, 0.999], 1e-3)},
}


@pytest.mark.parametrize("choice", CHOICES)
def test_steps_are_float32s_but_for_products_of_rounded_numbers(choice: str):
    rounded, _ = fit(of_digits("bf16", 5, **CHOICES[choice]))
    exact, _ = fit(of_digits("float32", 5, **CHOICES[choice]))
    start = GroupModule([of_digits("float32", **CHOICES[choice])], DATA).parameters_of(0)
    for name, parameter in rounded.parameters_of(0).items():
        step = exact.parameters_of(0)[name] - start[name]
        difference = (parameter - start[name] - step).norm() / step.norm()
        assert parameter.dtype == torch.float32
        assert 1e-5 < difference < 0.03, name


@pytest.mark.parametrize("choice", CHOICES)
def test_it_learns_as_well_as_float32(choice: str):
    (rounded,), (exact,) = (
        fit(of_digits(precision, **CHOICES[choice]))[1].epochs for precision in ("bf16", "float32")
    )
    assert rounded[4]["test/accuracy"] == pytest.approx(exact[4]["test/accuracy"], abs=0.02)
    assert rounded[4]["train/loss"] == pytest.approx(exact[4]["train/loss"], rel=0.05)


def test_metrics_are_those_of_the_float32_weights_in_float32():
    module, evaluation = fit(of_digits("bf16"))
    weights, biases = module.parameters_of(0).values()
    logits = F.linear(DATA.test.inputs, weights, biases)
    loss = F.cross_entropy(logits, DATA.test.labels).item()
    assert evaluation.epochs[0][4]["test/loss"] == pytest.approx(loss, rel=1e-6)


def test_a_group_is_its_members_alone_but_for_rounding():
    configs = [
        of_digits("bf16", 5, seed=seed, regularizer=RegularizerConfig("l2", strength), model=DEEP)
        for seed in (0, 1)
        for strength in (0.0, 0.1)
    ]
    configs = [configs[position] for position in sort_members(configs)]
    together, _ = fit(*configs)
    for member, config in enumerate(configs):
        alone, _ = fit(config)
        for name, parameter in together.parameters_of(member).items():
            torch.testing.assert_close(parameter, alone.parameters_of(0)[name], rtol=0, atol=2e-3)


def test_a_member_that_diverges_is_named_with_its_step():
    wild = OptimizerConfig("sgd", 1e30, weight_decay=1e30)
    sane = of_digits("bf16", 5)
    module, evaluation = fit(sane, replace(sane, optimizer=wild))
    assert list(module.failures) == [1]
    assert "not finite in epoch 1 at step" in module.failures[1]
    assert list(evaluation.epochs[0]) == [1]
