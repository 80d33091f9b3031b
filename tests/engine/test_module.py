"""A run by Lightning is, bit for bit, a loop that anyone would write by hand."""

import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import Trainer
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (torch's own convention)

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
from pipeline.engine.dropout import Dropout
from pipeline.engine.evaluation import Evaluation
from pipeline.engine.module import STEPS_PER_CALL, ClassifierModule
from pipeline.engine.network import initial_parameters
from pipeline.engine.streams import example_order, generator
from pipeline.errors import UserError

pytestmark = pytest.mark.filterwarnings(
    r"ignore:`isinstance\(treespec, LeafSpec\)` is deprecated"  # Lightning's, with this torch
)

NUM_TRAIN = 1237


def make_config(*, batch_size: int = 20, **groups: Any) -> Config:
    data = DataConfig("digits", batch_size=batch_size, num_train=NUM_TRAIN, num_val=200)
    return Config(data=data, **groups)


def digits(config: Config) -> Data:
    dtype = getattr(torch, config.trainer.precision)
    return load(
        "digits",
        Path(),
        num_train=config.data.num_train,
        num_val=config.data.num_val,
        download=False,
        dtype=dtype,
    )


def fit(config: Config, *, epochs: int = 1) -> tuple[list[Tensor], dict[str, float]]:
    """Train by Lightning; return weights and biases of every layer, and the last metrics."""
    module, evaluation = ClassifierModule(config, digits(config)), Evaluation()
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        precision="64-true" if config.trainer.precision == "float64" else "32-true",
        callbacks=[evaluation],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module)
    layers = zip(module.network.weights, module.network.biases, strict=True)
    return [tensor.detach() for layer in layers for tensor in layer], evaluation.epochs[-1]


def fit_by_hand(
    config: Config, *, epochs: int = 1, p_keeps: tuple[float, ...] = (1.0, 1.0, 1.0)
) -> tuple[list[Tensor], tuple[int, int] | None]:
    """Train with SGD; return the same tensors, and epoch and step of the first bad loss."""
    train = digits(config).train
    dropout = Dropout(p_keeps, config.seed, "train")
    layers = initial_parameters(
        [64, *config.model.hidden, 10],
        init=config.model.init,
        std=config.model.init_std,
        generator=generator(config.seed, "weights"),
        dtype=train.inputs.dtype,
    )
    tensors = [tensor.requires_grad_() for layer in layers for tensor in layer]
    size = config.data.batch_size
    for epoch in range(1, epochs + 1):
        order = example_order(config.seed, epoch, len(train))
        dropout.start_epoch(epoch)
        for step in range(1, math.ceil(len(train) / size) + 1):
            rows = order[(step - 1) * size : step * size]
            units = dropout(0, train.inputs[rows])
            for layer, (weights, biases) in enumerate(layers, 1):
                units = F.linear(units, weights, biases)
                units = torch.sigmoid(units) if layer < len(layers) else units
                units = dropout(layer, units)
            log_a = units.log_softmax(-1)
            objective = -log_a[torch.arange(len(rows)), train.labels[rows]].mean()
            if config.regularizer.name == "l2":
                half_squares = [(weights**2).sum() / 2 for weights, _ in layers]
                objective = objective + config.regularizer.strength * sum(half_squares)
            if not objective.isfinite():
                return tensors, (epoch, step)
            gradients = torch.autograd.grad(objective, tensors)
            with torch.no_grad():
                for tensor, gradient in zip(tensors, gradients, strict=True):
                    tensor.add_(gradient, alpha=-config.optimizer.lr)
    return tensors, None


def same_bits(ones: list[Tensor], others: list[Tensor]) -> bool:
    return all(torch.equal(one, other) for one, other in zip(ones, others, strict=True))


MLP = ModelConfig(hidden=[15], init="scaled_normal", init_std=1.0)
BOTH = DropoutConfig("both", p_keep_input=0.8, p_keep_hidden=0.5)


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("model", [ModelConfig(), MLP], ids=["softmax", "mlp"])
def test_is_the_loop_written_by_hand(model, precision):
    config = make_config(model=model, seed=3, trainer=TrainerConfig(precision=precision))
    tensors, _ = fit(config, epochs=2)
    by_hand, _ = fit_by_hand(config, epochs=2)
    assert same_bits(tensors, by_hand)


def test_is_the_loop_written_by_hand_with_dropout_and_penalty():
    config = make_config(model=MLP, dropout=BOTH, regularizer=RegularizerConfig("l2", 0.01))
    tensors, _ = fit(config, epochs=2)
    by_hand, _ = fit_by_hand(config, epochs=2, p_keeps=(0.8, 0.5, 1.0))
    assert same_bits(tensors, by_hand)


def test_the_last_smaller_batch_is_used():
    config = make_config(batch_size=1000, model=MLP)
    assert ClassifierModule(config, digits(config)).num_steps == 2
    after_both, _ = fit(config)
    by_hand, _ = fit_by_hand(config)
    assert same_bits(after_both, by_hand)


@pytest.mark.parametrize("num_steps", [STEPS_PER_CALL - 1, STEPS_PER_CALL, 2 * STEPS_PER_CALL + 1])
def test_no_step_is_lost_or_repeated_where_lightnings_calls_meet(num_steps):
    config = make_config(batch_size=10)
    config.data.num_train = 10 * num_steps - 3
    assert ClassifierModule(config, digits(config)).num_steps == num_steps
    tensors, _ = fit(config)
    by_hand, _ = fit_by_hand(config)
    assert same_bits(tensors, by_hand)


def test_same_seed_same_bits_other_seed_others():
    config = make_config(model=MLP, dropout=BOTH)
    tensors, metrics = fit(config)
    assert (same_bits(tensors, fit(config)[0]), fit(config)[1]) == (True, metrics)
    config.seed = 1
    others, _ = fit(config)
    for one, other in zip(tensors, others, strict=True):
        assert not torch.isclose(one, other).all()


def test_a_regularizer_leaves_the_biases_alone():
    plain = make_config(batch_size=NUM_TRAIN, model=MLP)  # one step
    penalised = make_config(
        batch_size=NUM_TRAIN, model=MLP, regularizer=RegularizerConfig("elastic", 0.1, 0.5)
    )
    (w1, b1, w2, b2), _ = fit(plain)
    (small_w1, same_b1, small_w2, same_b2), _ = fit(penalised)
    assert same_bits([b1, b2], [same_b1, same_b2])
    assert small_w1.norm() < w1.norm()
    assert small_w2.norm() < w2.norm()


def test_a_penalty_is_no_part_of_the_loss_that_is_reported():
    tiny_lr = OptimizerConfig("sgd", lr=1e-12)
    _, plain = fit(make_config(optimizer=tiny_lr))
    _, penalised = fit(make_config(optimizer=tiny_lr, regularizer=RegularizerConfig("l1", 1.0)))
    assert penalised == pytest.approx(plain, rel=1e-6)


def test_phase_says_when_units_are_dropped():
    def with_phase(phase):
        return fit(make_config(model=MLP, dropout=DropoutConfig("hidden", 0.5, phase=phase)))

    never_tensors, never = fit(make_config(model=MLP))
    train_tensors, train = with_phase("train")
    test_tensors, test = with_phase("test")
    always_tensors, always = with_phase("always")
    assert same_bits(test_tensors, never_tensors)
    assert same_bits(train_tensors, always_tensors)
    assert not same_bits(train_tensors, never_tensors)
    assert test["test/loss"] > never["test/loss"]
    assert always["test/loss"] > train["test/loss"]


def test_p_keep_one_is_no_dropout():
    tensors, metrics = fit(make_config(dropout=DropoutConfig("input", 1.0, phase="always")))
    same_tensors, same_metrics = fit(make_config())
    assert same_bits(tensors, same_tensors)
    assert metrics == same_metrics


def test_float64_drops_the_units_that_float32_drops():
    dropout = DropoutConfig("hidden", 0.5, phase="always")
    configs = [
        make_config(model=MLP, dropout=dropout, trainer=TrainerConfig(precision=precision))
        for precision in ("float32", "float64")
    ]
    (tensors, metrics), (double_tensors, double_metrics) = map(fit, configs)
    for single, double in zip(tensors, double_tensors, strict=True):
        torch.testing.assert_close(single, double.float(), rtol=1e-3, atol=1e-4)
    assert metrics == pytest.approx(double_metrics, rel=1e-3)


DIVERGING = {
    "beyond Lightning's first call": make_config(
        batch_size=10, optimizer=OptimizerConfig(lr=1.0), regularizer=RegularizerConfig("l2", 3.0)
    ),
    "in the second epoch": make_config(
        optimizer=OptimizerConfig(lr=1.0), regularizer=RegularizerConfig("l2", 2.5)
    ),
}


@pytest.mark.parametrize("config", DIVERGING.values(), ids=DIVERGING)
def test_a_loss_that_is_not_finite_ends_the_run_and_names_the_step(config):
    _, where = fit_by_hand(config, epochs=2)
    assert where is not None
    epoch, step = where
    assert (epoch, step > STEPS_PER_CALL) in [(1, True), (2, False)]
    message = f"the loss is not finite in epoch {epoch} at step {step} of "
    with pytest.raises(UserError, match=re.escape(message)) as error:
        fit(config, epochs=2)
    assert "optimizer.lr" in str(error.value)


def test_a_huge_learning_rate_is_reported_as_divergence():
    config = make_config(
        model=ModelConfig(hidden=[20], activation="relu"),
        loss=LossConfig("quadratic", "sum"),
        optimizer=OptimizerConfig(lr=1e30),
    )
    with pytest.raises(UserError, match="not finite in epoch 1 at step 2 of 62"):
        fit(config)


def test_weights_that_overflow_in_the_last_step_are_noticed():
    config = make_config(
        batch_size=NUM_TRAIN,
        model=ModelConfig(hidden=[20], activation="relu", output="sigmoid", init_std=100.0),
        loss=LossConfig("ce", "sum"),
        optimizer=OptimizerConfig(lr=1e38),
    )
    with pytest.raises(UserError, match="not finite in epoch 1 at step 1 of 1"):
        fit(config)
