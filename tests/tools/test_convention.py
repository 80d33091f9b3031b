"""Translated settings take the same steps: their own code and ours end at the same weights."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from torch import nn

from pipeline.config.compose import configure
from pipeline.config.schema.data import DataConfig
from pipeline.data.tensors import Data, load
from pipeline.engine.dropout import dropout_mask
from pipeline.engine.module import GroupModule
from pipeline.engine.streams import example_order
from pipeline.errors import UserError
from pipeline.tools.convention.__main__ import from_others, to_others
from pipeline.tools.convention.dialects import DIALECTS
from pipeline.tools.convention.text import document, parse
from pipeline.training.fit import make_trainer
from tests import command
from tests.tools.other_libraries import TRAINERS, Batches, Weights, keras

# Lightning 2.6 asks torch 2.15 in a way that torch has deprecated.
# Keras 3.15 gives NumPy 2 its variables as NumPy 1 wanted them.
pytestmark = [
    pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.` is deprecated"),
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword"),
]

NUM_TRAIN, BATCH, EPOCHS = 60, 20, 2
EXACT = 1e-9
NOT_QUITE = 1e-6
"""Where ε is added in another place, or a rate is kept in 32 bits."""


@cache
def digits() -> Data:
    return load(DataConfig("digits", num_train=NUM_TRAIN, num_val=10, batch_size=1))


def configured(overrides: Sequence[str], hidden: str) -> GroupModule:
    """The group of one that a user's overrides make, on a few digits and in float64."""
    common = ["data=digits", f"data.num_train={NUM_TRAIN}", f"data.batch_size={BATCH}"]
    common += ["data.num_val=10", f"trainer.max_epochs={EPOCHS}", "trainer.precision=float64"]
    common += ["trainer=cpu"]
    config = configure([*common, "model.init_std=0.5", f"model.hidden={hidden}", *overrides])
    return GroupModule([config], digits())


def weights_of(module: GroupModule) -> Weights:
    tensors = [tensor.double().numpy().copy() for tensor in module.parameters_of(0).values()]
    return list(zip(tensors[::2], tensors[1::2], strict=True))


def batches_of(module: GroupModule) -> Batches:
    """The mini-batches of all epochs, in the order in which ours come."""
    train, found = digits().train, []
    for epoch in range(1, EPOCHS + 1):
        for rows in example_order(0, epoch, NUM_TRAIN).split(module.batch_size):
            found.append((train.inputs[rows].double().numpy(), train.labels[rows].numpy()))
    return found


def fit(module: GroupModule) -> Weights:
    make_trainer(module.configs[0].trainer, []).fit(module)
    assert module.failures == {}
    return weights_of(module)


def error(found: Weights, expected: Weights) -> float:
    """The largest difference, relative to the largest weight."""
    one, other = (
        np.concatenate([x.ravel() for layer in side for x in layer]) for side in (found, expected)
    )
    return float(np.abs(one - other).max() / np.abs(other).max())


def moved(found: Weights, start: Weights) -> bool:
    """Whether every layer has learned something, so that a comparison can fail."""
    return all(np.abs(w - v).max() > 1e-4 for (w, _), (v, _) in zip(found, start, strict=True))


NO_EPS = "1e-14"
"""So small that it is no matter where it is added."""

THEIRS = [
    ("nielsen", "cost=QuadraticCost eta=3 batch=20 n=60"),
    ("nielsen", "cost=QuadraticCost eta=0.5 lambda=6 n=60 batch=20"),
    ("nielsen", "cost=CrossEntropyCost eta=0.5 lambda=0.3 n=60 batch=20"),
    ("torch", "loss=MSELoss output=softmax lr=0.5"),
    ("torch", "loss=MSELoss output=sigmoid reduction=sum lr=0.02 batch_size=20 momentum=0.9"),
    ("torch", "loss=CrossEntropyLoss lr=0.5 weight_decay=0.01 activation=Tanh"),
    ("torch", "loss=CrossEntropyLoss reduction=sum lr=0.02 weight_decay=0.1 batch_size=20"),
    ("torch", "loss=CrossEntropyLoss lr=0.1 momentum=0.8 nesterov=true weights.weight_decay=0.03"),
    ("torch", "loss=BCEWithLogitsLoss lr=0.9 momentum=0.5 weight_decay=0.02"),
    ("torch", "loss=BCEWithLogitsLoss reduction=sum lr=0.02 batch_size=20"),
    ("torch", "loss=BCELoss output=softmax lr=0.9"),
    ("torch", "loss=HuberLoss delta=0.3 output=softmax lr=2"),
    ("torch", "loss=HuberLoss reduction=sum delta=0.3 output=sigmoid lr=0.1 batch_size=20"),
    ("torch", "loss=CrossEntropyLoss optimizer=Adam lr=0.01 betas=[0.8,0.95] weight_decay=0.1"),
    ("torch", "loss=MSELoss output=sigmoid reduction=sum optimizer=Adam lr=0.01 batch_size=20 "
     "weight_decay=0.5 weights.weight_decay=0.2 eps=0.01"),
    ("torch", "loss=BCELoss output=sigmoid reduction=sum optimizer=AdamW batch_size=20"),
    ("keras", "loss=mse output=softmax learning_rate=0.5"),
    ("keras", "loss=mse output=sigmoid reduction=sum learning_rate=0.125 momentum=0.9 l2=0.01 "
     "batch_size=20"),
    ("keras", "loss=categorical_crossentropy learning_rate=0.5 l2=0.01 activation=relu"),
    ("keras", "loss=categorical_crossentropy reduction=sum learning_rate=0.0625 l1=0.02 l2=0.01 "
     "batch_size=20"),
    ("keras", "loss=binary_crossentropy output=sigmoid learning_rate=0.5 "
     "weight_decay=0.125 l1=0.001"),
    ("keras", "loss=binary_crossentropy output=softmax learning_rate=0.5 "
     "momentum=0.5 nesterov=true"),
    ("keras", "loss=huber delta=0.25 output=softmax learning_rate=0.5"),
    ("keras", "loss=categorical_crossentropy optimizer=AdamW learning_rate=0.0078125 "
     f"epsilon={NO_EPS}"),
    ("keras", f"loss=mse output=softmax reduction=sum optimizer=Adam l2=0.01 epsilon={NO_EPS} "
     "batch_size=20"),
    ("sklearn", "loss=log_loss solver=sgd learning_rate_init=0.2 alpha=0 batch_size=20"),
    ("sklearn", "loss=log_loss solver=sgd learning_rate_init=0.2 alpha=2 batch_size=20 momentum=0"),
    ("sklearn", "loss=binary_log_loss solver=sgd learning_rate_init=0.1 alpha=1 batch_size=20 "
     "momentum=0.8 nesterovs_momentum=false activation=tanh"),
    ("sklearn", f"loss=log_loss alpha=1 batch_size=20 beta_1=0.8 epsilon={NO_EPS}"),
    ("sgdclassifier", "loss=log_loss alpha=0.02 eta0=0.1"),
]  # fmt: skip

OURS = [
    ("nielsen", "loss=quadratic model.output=sigmoid optimizer.lr=3"),
    ("nielsen", "loss=mse model.output=sigmoid optimizer.lr=3 regularizer=l2 "
     "regularizer.strength=0.01 data.num_train=60 data.batch_size=20 classes=10"),
    ("nielsen", "loss=ce model.output=sigmoid optimizer.lr=3 regularizer=l2 "
     "regularizer.strength=0.01 data.num_train=60 data.batch_size=20 classes=10"),
    ("nielsen", "loss=ce loss.reduction=sum model.output=sigmoid optimizer.lr=0.3"),
    ("torch", "loss=nll regularizer=l2 regularizer.strength=0.05 optimizer.weight_decay=0.01"),
    ("torch", "loss=mse loss.reduction=sum optimizer=momentum classes=10"),
    ("torch", "loss=quadratic optimizer=nesterov optimizer.weight_decay=0.1 classes=10"),
    ("torch", "loss=quadratic loss.reduction=mean model.output=sigmoid optimizer.lr=3"),
    ("torch", "loss=ce optimizer=adam optimizer.lr=0.001 optimizer.weight_decay=0.1"),
    ("torch", "loss=ce loss.reduction=sum model.output=sigmoid optimizer=adamw optimizer.lr=0.001 "
     "classes=10"),
    ("torch", "loss=huber loss.delta=0.2 optimizer.lr=2 model.activation=relu"),
    ("keras", "loss=nll regularizer=elastic regularizer.strength=0.01 optimizer.weight_decay=0.25"),
    ("keras", "loss=quadratic optimizer=momentum optimizer.lr=0.125 classes=10"),
    ("keras", "loss=mse regularizer=l1 optimizer=nesterov optimizer.lr=0.25"),
    ("keras", "loss=ce model.output=sigmoid regularizer=l2 regularizer.strength=0.01 "
     "optimizer.lr=0.5"),
    ("keras", f"loss=nll optimizer=adamw optimizer.lr=0.001 optimizer.eps={NO_EPS} "
     "optimizer.weight_decay=0.5"),
    ("keras", "loss=huber loss.reduction=sum model.output=sigmoid optimizer.lr=0.25 classes=10"),
    ("sklearn", "loss=nll optimizer=sgd regularizer=l2 regularizer.strength=0.05 "
     "data.batch_size=20"),
    ("sklearn", "loss=nll optimizer=momentum regularizer=l2 data.batch_size=20"),
    ("sklearn", "loss=ce model.output=sigmoid optimizer=nesterov regularizer=l2 "
     "regularizer.strength=0.01 data.batch_size=20 classes=10"),
    ("sklearn", f"loss=nll optimizer=adam optimizer.lr=0.001 optimizer.eps={NO_EPS} "
     "model.activation=identity regularizer=none data.batch_size=20"),
    ("sgdclassifier", "loss=ce model.output=sigmoid regularizer=l2 regularizer.strength=0.01 "
     "optimizer.lr=0.5 data.batch_size=1 classes=10"),
]  # fmt: skip


def compare(name: str, overrides: Sequence[str], settings: dict[str, str]) -> None:
    module = configured(overrides, "[]" if name == "sgdclassifier" else "[7]")
    start, batches = weights_of(module), batches_of(module)
    theirs = TRAINERS[name](settings, start, batches)
    ours = fit(module)
    assert moved(ours, start)
    assert moved(theirs, start)
    is_exact = name != "keras" and NO_EPS not in settings.values()
    assert error(ours, theirs) < (EXACT if is_exact else NOT_QUITE), overrides


@pytest.mark.parametrize(("name", "typed"), THEIRS)
def test_overrides_from_theirs_take_the_steps_of_their_own_code(name: str, typed: str):
    overrides, _ = from_others(name, typed.split())
    compare(name, overrides, dict(parse(typed.split())))


@pytest.mark.parametrize(("name", "typed"), OURS)
def test_their_own_code_takes_the_steps_of_our_overrides(name: str, typed: str):
    settings, _ = to_others(name, typed.split())
    overrides = [override for override in typed.split() if "classes" not in override]
    compare(name, overrides, dict(parse(settings)))


def test_the_minimum_of_logistic_regression_is_where_ours_stays():
    typed = ["loss=log_loss", "C=0.5", f"n={NUM_TRAIN}"]
    overrides, _ = from_others("logisticregression", typed)
    assert "data.num_train=60" in overrides
    module = configured(
        [*overrides, f"data.batch_size={NUM_TRAIN}", "optimizer.lr=0.5"], hidden="[]"
    )
    classifier = LogisticRegression(C=0.5, tol=1e-12, max_iter=10_000)
    train = digits().train
    classifier.fit(train.inputs.double().numpy(), train.labels.numpy())
    ((weights, biases),) = module.layer_parameters
    weights.copy_(torch.from_numpy(classifier.coef_).unsqueeze(0))
    biases.copy_(torch.from_numpy(classifier.intercept_).view_as(biases))
    minimum = weights_of(module)
    assert np.abs(minimum[0][0]).max() > 0.1
    assert error(fit(module), minimum) < NOT_QUITE
    back, _ = to_others("logisticregression", [*overrides, f"data.batch_size={NUM_TRAIN}"])
    assert float(dict(parse(back))["C"]) == pytest.approx(0.5)


@pytest.mark.parametrize(("name", "key"), [("torch", "p"), ("keras", "rate")])
def test_as_many_units_are_dropped(name: str, key: str):
    overrides, _ = from_others(name, [f"{key}=0.2", f"{key}_input=0.4"])
    config = configure([*overrides, "model=mlp"]).dropout
    for drop, p_keep in ((0.2, config.p_keep_hidden), (0.4, config.p_keep_input)):
        assert p_keep is not None
        ours = dropout_mask(torch.rand(100_000), p_keep, torch.float32)
        theirs = their_dropout(name, drop)
        assert theirs.unique().tolist() == pytest.approx(ours.unique().tolist())
        kept, expected = ((units > 0).float().mean().item() for units in (theirs, ours))
        assert kept == pytest.approx(expected, abs=0.01)
    settings, _ = to_others(name, overrides)
    assert sorted(settings) == [f"{key}=0.2", f"{key}_input=0.4"]


def their_dropout(name: str, probability: float) -> torch.Tensor:
    """What becomes of 100,000 ones."""
    ones = torch.ones(1, 100_000)
    if name == "torch":
        return nn.Dropout(probability)(ones)
    return keras().layers.Dropout(probability, dtype="float32")(ones, training=True).cpu()


@pytest.mark.parametrize("name", ["torch", "keras", "sklearn"])
def test_what_is_not_said_of_an_optimizer_is_as_the_library_has_it(name: str):
    for optimizer, defaults in DIALECTS[name].optimizers.defaults.items():
        homes: dict[str, Any] = {"torch": torch.optim, "keras": keras().optimizers}
        owner = getattr(homes[name], optimizer) if name in homes else MLPClassifier
        parameters = inspect.signature(owner).parameters
        for key, value in parse(defaults.split()).items():
            bare, _, place = key.partition("[")
            default = parameters[bare].default
            default = default[int(place[:-1])] if place else default
            said = {"true": True, "false": False}.get(value)
            assert (float(value) if said is None else said) == (default or 0), key


REFUSED = [
    ("--from", "nielsen", "lambda=5", "n: is needed"),
    ("--from", "nielsen", "lamda=5", "Did you mean lambda?"),
    ("--from", "nielsen", "eta=-1", "eta=-1: must be a number > 0"),
    ("--from", "torch", "lr=fast", "lr=fast: must be a number > 0"),
    ("--from", "torch", "p=1.2", "p=1.2: must be a probability to drop"),
    ("--from", "torch", "batch_size=1.5", "batch_size=1.5: must be a whole number"),
    ("--from", "torch", "lr", "lr: can't be read. Say key=value"),
    ("--from", "torch", "lr=1 lr=2", "lr is there twice"),
    ("--from", "torch", "loss=MSELoss", "output: is needed for MSELoss"),
    ("--from", "torch", "loss=MSLoss output=sigmoid", "Did you mean MSELoss?"),
    ("--from", "torch", "loss=HuberLoss output=sigmoid", "delta: is needed for huber"),
    ("--from", "torch", "reduction=sum", "loss: is needed for reduction=sum"),
    ("--from", "torch", "loss=MSELoss output=softmax reduction=sum", "batch_size: is needed"),
    ("--from", "torch", "loss=MSELoss output=softmax reduction=sum batch_size=5", "lr: is needed"),
    ("--from", "torch", "dampening=0.5", "dampening: has no translation"),
    ("--from", "torch", "lr=1 betas=[0.9,0.99]", "betas[0]=0.9: has no translation with SGD"),
    ("--from", "torch", "p=0.5 p_logits=0.5", "no option of ours drops these together"),
    ("--from", "keras", "optimizer=Adam weight_decay=0.1", "optimizer=adamw"),
    ("--from", "sklearn", "alpha=1", "batch_size: is needed"),
    ("--to", "nielsen", "regularizer=l2", "data.num_train: is needed"),
    ("--to", "nielsen", "regularizer=l2 data=iris", "data.num_train: is needed"),
    ("--to", "nielsen", "loss=mse model.output=sigmoid optimizer.lr=1", "classes: is needed"),
    ("--to", "nielsen", "loss=nll", "has no such loss. What it can have is loss=quadratic"),
    ("--to", "nielsen", "optimizer=adam", "has no such one, only sgd"),
    ("--to", "nielsen", "model.activation=relu", "has no such one, only sigmoid"),
    ("--to", "torch", "loss=msee", "Did you mean mse?"),
    ("--to", "torch", "optimizer.lr=0", "optimizer.lr=0.0: must be a number > 0"),
    ("--to", "torch", "seed=3", "seed: has no translation"),
    ("--to", "torch", "dropout=input dropout.phase=test", "Say dropout.phase=train"),
    ("--to", "sgdclassifier", "data.batch_size=10", "always has 1"),
]


@pytest.mark.parametrize(("direction", "name", "typed", "message"), REFUSED)
def test_what_cant_be_translated_is_refused_with_what_to_do(
    direction: str, name: str, typed: str, message: str
):
    translate = from_others if direction == "--from" else to_others
    with pytest.raises(UserError, match=re.escape(message)):
        translate(name, typed.split())


@pytest.mark.parametrize(
    ("name", "typed", "remark"),
    [
        ("torch", "regularizer=l1 regularizer.strength=0.25", "λ = 0.25: PyTorch has no such"),
        ("torch", "optimizer=adamw regularizer=l2", "add ½λΣw²"),
        ("torch", "regularizer=l2", "two parameter groups"),
        ("keras", "optimizer=momentum optimizer.weight_decay=0.1", "bias_regularizer"),
        ("nielsen", "dropout=input", "network3.py's p_dropout"),
        ("sklearn", "loss=nll", "alpha: not said, and its default is 0.0001"),
        ("nielsen", "optimizer.lr=0.1", "loss: not said"),
    ],
)
def test_what_a_library_has_no_word_for_is_remarked(name: str, typed: str, remark: str):
    _, remarks = to_others(name, typed.split())
    assert remark in "\n".join(remarks)


def test_the_page_is_what_the_command_prints():
    page = command.CHECKOUT / "docs" / "conventions.md"
    assert page.read_text() == document()


def run(tmp_path: Path, *arguments: str) -> command.Done:
    return command.run(tmp_path, *arguments, module="pipeline.convention")


def test_the_command_translates_both_ways(tmp_path: Path):
    typed = ["lambda=5", "n=50000", "eta=0.5", "batch=10", "cost=CrossEntropyCost"]
    done = run(tmp_path, "--from", "nielsen", *typed)
    assert (done.code, done.stderr) == (0, "")
    assert "regularizer=l2 regularizer.strength=0.0001" in done.stdout
    back = run(tmp_path, "--to", "nielsen", *done.stdout.split())
    assert (back.code, back.stderr) == (0, "")
    assert sorted(back.stdout.split()) == sorted(typed)


def test_the_command_shows_the_tables_and_names_an_error(tmp_path: Path):
    shown = run(tmp_path)
    assert shown.code == 0
    assert all(dialect.title in shown.stdout for dialect in DIALECTS.values())
    assert "lambda=n·λ" in shown.stdout
    one = run(tmp_path, "--from", "keras")
    assert "l2=½·λ" in one.stdout
    assert "lambda" not in one.stdout
    wrong = run(tmp_path, "--from", "nielsen", "lambda=5")
    assert wrong.code == 1
    assert wrong.errors[-1].startswith("error: n: is needed")


def test_help_points_to_the_tables(tmp_path: Path):
    assert "pipeline convention" in command.run(tmp_path, "--help").stdout
