"""Every member of a group is the run that autograd and torch.optim make of its config.

Choices that a group has in common and choices that its members have one by one are two covering
designs: each pair of values of two choices occurs. Every group of the first trains all members of
the second, so that each pair across the two occurs as well.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch
from allpairspy import AllPairs
from torch import Tensor

from pipeline.config import registry
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
from pipeline.config.schema.loss import NEED_SOFTMAX
from pipeline.config.schema.model import INITS
from pipeline.data.layout import Numbers
from pipeline.data.scaling import Scaling
from pipeline.data.tensors import Data, Split
from pipeline.engine.evaluation import Epochs, Evaluation
from pipeline.engine.grouping import plan_groups
from pipeline.engine.members import sort_members
from pipeline.engine.module import GroupModule
from pipeline.training.fit import make_trainer
from tests import oracle

# Lightning 2.6 asks torch 2.15 in a way that torch has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.` is deprecated")

EXACT = 1e-9
NUM_FEATURES, NUM_CLASSES = 20, 4

SHARED: dict[str, list[Any]] = {
    "output": ["softmax", "sigmoid"],
    "activation": list(registry.names("activation")),
    "hidden": [[], [7], [6, 5]],
    "optimizer": list(registry.names("optimizer")),
    "last batch": ["as large", "smaller"],
    "end": ["epochs", "evaluated at the end alone", "steps"],
}
OWN: dict[str, list[Any]] = {
    "loss": [
        LossConfig("mse"),
        LossConfig("ce"),
        LossConfig("ce", "sum"),
        LossConfig("quadratic", "sum"),
        LossConfig("nll"),
        LossConfig("huber", "mean", 0.1),
        LossConfig("huber", "sum", 0.4),
        LossConfig("nll", label_smoothing=0.1),
        LossConfig("ce", "sum", label_smoothing=0.3),
        LossConfig("focal", gamma=2.0),
        LossConfig("focal", gamma=0.5),
    ],
    "regularizer": [
        RegularizerConfig(),
        RegularizerConfig("l1", 0.001),
        RegularizerConfig("l2", 0.01),
        RegularizerConfig("elastic", 0.01, 0.3),
        RegularizerConfig("elastic", 0.002, 0.8),
    ],
    "place": ["none", "input", "hidden", "both", "logits"],
    "phase": ["train", "test", "always"],
    "init": list(INITS),
    "rate": [0.05, 0.2],
    "decay": [0.0, 0.02],
    "clip": [None, 0.1, 1.0],
    "schedule": [
        ScheduleConfig(),
        ScheduleConfig("constant", 1.0),
        ScheduleConfig("step", 0.0, 0.5, 1),
        ScheduleConfig("exponential", 0.4, 0.3),
        ScheduleConfig("cosine", 0.5, end_factor=0.1),
    ],
    "attack": [AttackConfig(), *(AttackConfig("fgsm", epsilon) for epsilon in (0.0, 0.05, 0.25))],
    "seed": [0, 1, 12],
}


def design(choices: dict[str, list[Any]]) -> list[dict[str, Any]]:
    def together(row: list[Any]) -> bool:  # as far as it is chosen
        return not hangs_on_rounding(dict(zip(choices, row, strict=False)))

    rows = AllPairs(list(choices.values()), filter_func=together)
    return [dict(zip(choices, row, strict=True)) for row in rows]


def hangs_on_rounding(row: dict[str, Any]) -> bool:
    """Whether some first gradients are no more than rounding, on which L1's sign would hang."""
    has_l1 = "regularizer" in row and row["regularizer"].name in ("l1", "elastic")
    has_hidden = row.get("hidden") or row.get("place") in ("hidden", "both")
    return has_l1 and bool(has_hidden) and row.get("init") == "zeros"


GROUPS, MEMBERS = design(SHARED), design(OWN)


def dropout(place: str, phase: str) -> DropoutConfig:
    if place == "both":
        return DropoutConfig("both", None, 0.9, 0.7, phase)
    return DropoutConfig(place, None if place == "none" else 0.6, phase=phase)


def optimizer(name: str, own: dict[str, Any]) -> OptimizerConfig:
    rate, decay, clip = own["rate"], own["decay"], own["clip"]
    if name == "rmsprop":
        momentum, alpha = (0.0, 0.9) if rate > 0.1 else (0.6, 0.99)
        return OptimizerConfig(name, rate / 20, momentum, None, 1e-3, decay, alpha, clip)
    if name in ("adam", "adamw"):
        betas = [0.9, 0.99 if rate > 0.1 else 0.999]
        return OptimizerConfig(name, rate / 10, None, betas, 1e-4, decay, clip_norm=clip)
    momentum = None if name == "sgd" else 0.9 - 4 * rate
    return OptimizerConfig(name, rate, momentum, weight_decay=decay, clip_norm=clip)


def trainer(end: str) -> TrainerConfig:
    """Two epochs of three steps, or one and two thirds."""
    return TrainerConfig(
        "auto",
        max_epochs=2,
        max_steps=5 if end == "steps" else None,
        evaluate_every=2 if end == "evaluated at the end alone" else 1,
        precision="float64",
    )


def config(shared: dict[str, Any], own: dict[str, Any]) -> Config | None:
    """The config of a member of a group, None if its choices don't go together."""
    if own["loss"].name in NEED_SOFTMAX and shared["output"] == "sigmoid":
        return None
    if own["place"] in ("hidden", "both") and not shared["hidden"]:
        return None
    if hangs_on_rounding({**shared, **own}):
        return None
    num_train = 120 if shared["last batch"] == "as large" else 110
    std = 0.5
    return Config(
        own["seed"],
        own["loss"],
        own["regularizer"],
        dropout(own["place"], own["phase"]),
        optimizer(shared["optimizer"], own),
        own["schedule"],
        ModelConfig(shared["hidden"], shared["activation"], shared["output"], own["init"], std),
        DataConfig("digits", batch_size=40, num_train=num_train, num_val=50),
        trainer(shared["end"]),
        own["attack"],
    )


def members_of(shared: dict[str, Any]) -> list[Config]:
    found = [member for own in MEMBERS if (member := config(shared, own)) is not None]
    return [found[position] for position in sort_members(found)]


def examples(seed: int, number: int) -> Split:
    """Inputs without ties: no sum of them is 0 but for rounding, on which L1's sign would hang."""
    stream = torch.Generator().manual_seed(seed)
    inputs = torch.rand(number, NUM_FEATURES, generator=stream, dtype=torch.float64)
    return Split(inputs, torch.randint(NUM_CLASSES, (number,), generator=stream))


def data_of(config: Config) -> Data:
    assert config.data.num_train is not None
    train, val, test = examples(0, config.data.num_train), examples(1, 50), examples(2, 70)
    classes = tuple(map(str, range(NUM_CLASSES)))
    scaling = Scaling(np.zeros(NUM_FEATURES), np.ones(NUM_FEATURES))
    return Data("random", train, val, test, classes, Numbers(NUM_FEATURES), scaling, "", "")


def together(configs: list[Config]) -> tuple[GroupModule, Evaluation]:
    module, evaluation = GroupModule(configs, data_of(configs[0])), Evaluation(len(configs))
    make_trainer(configs[0].trainer, [evaluation]).fit(module)
    return module, evaluation


def assert_alike(found: Epochs, expected: Epochs, config: Config) -> None:
    assert list(found) == list(expected)
    for epoch, metrics in found.items():
        assert metrics == pytest.approx(expected[epoch], rel=EXACT), config


def error(found: Iterable[Tensor], expected: Iterable[Tensor]) -> float:
    """The largest difference, relative to the largest parameter of the network."""
    one, other = (
        torch.cat([t.detach().flatten().cpu() for t in side]) for side in (found, expected)
    )
    return ((one - other).abs().max() / other.abs().max()).item()


@pytest.mark.parametrize("shared", GROUPS, ids=lambda row: "-".join(map(str, row.values())))
def test_every_member_is_what_autograd_and_torchs_optimizers_make_of_it(shared: dict[str, Any]):
    configs = members_of(shared)
    assert len(plan_groups(configs)) == 1
    module, evaluation = together(configs)
    assert module.failures == {}
    for member, config in enumerate(configs):
        expected = oracle.train(config, data_of(config))
        assert error(module.parameters_of(member).values(), expected.parameters) < EXACT, config
        assert_alike(evaluation.epochs[member], expected.epochs, config)
        predictions = evaluation.test_predictions[member].cpu().long()
        assert torch.equal(predictions, expected.predictions)


SGD = [shared for shared in GROUPS if shared["optimizer"] == "sgd"]


@pytest.mark.parametrize("shared", SGD, ids=lambda row: "-".join(map(str, row.values())))
def test_so_is_every_member_of_a_group_that_only_descends(shared: dict[str, Any]):
    """Without weight decay and clipping sgd stores no gradients."""
    configs = [
        config
        for config in members_of(shared)
        if config.optimizer.weight_decay == 0 and config.optimizer.clip_norm is None
    ]
    module, _ = together(configs)
    assert module._optimizer.is_plain_descent
    for member, config in enumerate(configs):
        expected = oracle.train(config, data_of(config))
        assert error(module.parameters_of(member).values(), expected.parameters) < EXACT, config


@pytest.mark.parametrize("shared", GROUPS[::7], ids=lambda row: "-".join(map(str, row.values())))
def test_a_group_of_k_is_k_groups_of_one(shared: dict[str, Any]):
    configs = members_of(shared)
    module, evaluation = together(configs)
    for member, config in enumerate(configs):
        alone, alone_evaluation = together([config])
        ours, theirs = module.parameters_of(member), alone.parameters_of(0)
        assert error(ours.values(), theirs.values()) < EXACT
        assert_alike(evaluation.epochs[member], alone_evaluation.epochs[0], config)


def test_more_members_and_another_order_change_no_members_numbers():
    few = members_of(GROUPS[0])[:3]
    others = [replace(member, seed=member.seed + 100) for member in members_of(GROUPS[0])]
    mixed = [*others, *reversed(few)]
    order = sort_members(mixed)
    module, _ = together(few)
    larger, _ = together([mixed[position] for position in order])
    for member in range(3):
        place = order.index(len(mixed) - 1 - member)
        ours, theirs = larger.parameters_of(place), module.parameters_of(member)
        assert error(ours.values(), theirs.values()) < EXACT


def test_every_pair_of_choices_that_go_together_occurs():
    rows = [
        {**shared, **own} for shared in GROUPS for own in MEMBERS if config(shared, own) is not None
    ]
    choices = {**SHARED, **OWN}
    for one, other in combinations(choices, 2):
        seen = {(repr(row[one]), repr(row[other])) for row in rows}
        missing = [
            (value, another)
            for value in choices[one]
            for another in choices[other]
            if (repr(value), repr(another)) not in seen
        ]
        apart = [pair for pair in missing if is_refused(one, *pair)]
        assert missing == apart, f"{one} and {other}"


def is_refused(choice: str, value: Any, another: Any) -> bool:
    """Whether the schema refuses a value of a choice beside a value of a later one."""
    if choice == "output":
        needs_softmax = isinstance(another, LossConfig) and another.name in NEED_SOFTMAX
        return value == "sigmoid" and needs_softmax
    return value == [] and another in ("hidden", "both")
