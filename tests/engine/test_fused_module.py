"""A fused group against the same runs one by one."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from pytorch_lightning import Callback

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
from pipeline.data.tensors import Data, load
from pipeline.engine.evaluation import Evaluation
from pipeline.engine.fused_evaluation import FusedEvaluation
from pipeline.engine.fused_module import FusedModule
from pipeline.engine.members import sort_members
from pipeline.engine.module import ClassifierModule
from pipeline.errors import UserError
from pipeline.training.train import make_trainer

# Lightning 2.6 asks torch 2.15 in a way that torch has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.` is deprecated")

DATA = DataConfig("digits", batch_size=40, num_train=110, num_val=50)
EXACT = TrainerConfig("cpu", max_epochs=2, precision="float64")

OPTIMIZERS = [
    [OptimizerConfig("sgd", 0.2), OptimizerConfig("sgd", 0.05)],
    [OptimizerConfig("sgd", 0.2, weight_decay=0.01), OptimizerConfig("sgd", 0.05)],
    [OptimizerConfig("momentum", 0.05, momentum=0.9), OptimizerConfig("momentum", 0.1, momentum=0)],
    [OptimizerConfig("nesterov", 0.05, momentum=m) for m in (0.9, 0.5)],
    [OptimizerConfig("adam", 0.01, betas=[0.9, b], eps=1e-8) for b in (0.999, 0.9)],
    [OptimizerConfig("adamw", 0.01, betas=[0.9, 0.99], eps=1e-8, weight_decay=w) for w in (0.1, 0)],
]
PENALTIES = [
    RegularizerConfig(),
    RegularizerConfig("l1", 0.001),
    RegularizerConfig("l2", 0.01),
    RegularizerConfig("elastic", 0.01, 0.3),
]
DROPOUTS = [
    DropoutConfig(),
    DropoutConfig("input", 0.8),
    DropoutConfig("input", 0.6, phase="always"),
    DropoutConfig("logits", 0.7),
    DropoutConfig("input", 0.5, phase="test"),
]
HIDDEN_DROPOUTS = [
    DropoutConfig("hidden", 0.6),
    DropoutConfig("both", None, 0.9, 0.7),
    DropoutConfig("hidden", 0.5, phase="always"),
]


def digits(config: Config) -> Data:
    return load(
        "digits",
        Path(),
        num_train=config.data.num_train,
        num_val=config.data.num_val,
        download=False,
        dtype=getattr(torch, config.trainer.precision),
    )


def alone(config: Config) -> tuple[ClassifierModule, Evaluation]:
    module, evaluation = ClassifierModule(config, digits(config)), Evaluation()
    make_trainer(config.trainer, [evaluation]).fit(module)
    return module, evaluation


def together(configs: Sequence[Config]) -> tuple[FusedModule, FusedEvaluation]:
    evaluation = FusedEvaluation(len(configs))
    callbacks: list[Callback] = [evaluation]
    module = FusedModule(configs, digits(configs[0]))
    make_trainer(configs[0].trainer, callbacks).fit(module)
    return module, evaluation


def in_order(configs: Sequence[Config]) -> list[Config]:
    return [configs[position] for position in sort_members(configs)]


def mixed_grid(optimizers: list[OptimizerConfig], model: ModelConfig) -> list[Config]:
    """Every loss, penalty and place of dropout at least once, over two seeds."""
    losses = [LossConfig("mse"), LossConfig("ce"), LossConfig("quadratic"), LossConfig("ce", "sum")]
    if model.output == "softmax":
        losses.append(LossConfig("nll"))
    dropouts = DROPOUTS + (HIDDEN_DROPOUTS if model.hidden else [])
    cells = zip(
        range(2 * len(dropouts)),
        itertools.cycle(losses),
        itertools.cycle(PENALTIES),
        itertools.cycle(dropouts),
        itertools.cycle(optimizers),
    )
    return [
        Config(number % 2, loss, penalty, dropout, optimizer, model, DATA, EXACT)
        for number, loss, penalty, dropout, optimizer in cells
    ]


@pytest.mark.parametrize("optimizers", OPTIMIZERS, ids=lambda o: f"{o[0].name}-{o[0].weight_decay}")
@pytest.mark.parametrize(
    "model",
    [
        ModelConfig(),
        ModelConfig([7], "sigmoid", "sigmoid", "xavier"),
        ModelConfig([6, 5], "tanh", "softmax", "he"),
        ModelConfig([6], "relu", "softmax", "scaled_normal", 1.0),
    ],
    ids=lambda model: f"{model.hidden}-{model.activation}-{model.output}",
)
def test_every_member_is_the_run_that_it_would_be_alone(
    model: ModelConfig, optimizers: list[OptimizerConfig]
):
    configs = in_order(mixed_grid(optimizers, model))
    fused, evaluation = together(configs)
    assert fused.failures == {}
    for member, config in enumerate(configs):
        single, expected = alone(config)
        for layer, weights in enumerate(single.network.weights):
            found = fused.weights[layer][member]
            torch.testing.assert_close(found, weights.detach(), rtol=1e-7, atol=1e-12)
        for found, wanted in zip(evaluation.epochs[member], expected.epochs, strict=True):
            assert found == pytest.approx(wanted, rel=1e-9), config
        assert torch.equal(evaluation.test_predictions[member].long(), expected.test_predictions)


def grid_of_three() -> list[Config]:
    return [Config(seed, data=DATA, trainer=EXACT) for seed in (0, 1, 2)]


def test_more_members_and_another_order_change_no_members_numbers():
    few, _ = together(grid_of_three())
    others = [
        replace(config, regularizer=RegularizerConfig("l2", 0.01)) for config in grid_of_three()
    ]
    configs = [*others, *reversed(grid_of_three())]
    order = sort_members(configs)
    many, _ = together([configs[position] for position in order])
    for seed in (0, 1, 2):
        member = order.index(5 - seed)
        torch.testing.assert_close(many.weights[0][member], few.weights[0][seed], rtol=1e-9, atol=0)


def test_a_member_that_diverges_leaves_the_others_as_they_are():
    wild = OptimizerConfig("sgd", 1e30, weight_decay=1e30)
    sane = OptimizerConfig("sgd", 0.1)
    model = ModelConfig([8], "identity", "sigmoid", "scaled_normal", 1.0)
    configs = [
        Config(
            seed=seed,
            loss=LossConfig("quadratic", "sum"),
            regularizer=RegularizerConfig("l2", 1.0),
            optimizer=optimizer,
            model=model,
            data=DATA,
            trainer=EXACT,
        )
        for seed, optimizer in [(0, sane), (0, wild), (1, sane)]
    ]
    fused, _ = together(configs)
    assert list(fused.failures) == [1]
    assert "not finite in epoch 2 at step" in fused.failures[1]
    with pytest.raises(UserError, match="not finite in epoch 2 at step"):
        alone(configs[1])
    for member in (0, 2):
        single, _ = alone(configs[member])
        expected = single.network.weights[0].detach()
        torch.testing.assert_close(fused.weights[0][member], expected, rtol=1e-7, atol=1e-12)


def test_members_that_read_the_same_inputs_lie_together():
    configs = [
        Config(seed, regularizer=penalty, dropout=dropout)
        for penalty in PENALTIES
        for dropout in DROPOUTS[:2]
        for seed in (0, 1)
    ]
    streams = [(c.seed, c.dropout.name) for c in in_order(configs)]
    assert len([key for key, _ in itertools.groupby(streams)]) == len(set(streams)) == 4
