"""Attacks, and what a run's evaluation makes of them. A new one adds its row to ROWS.

That the metrics are those of autograd's gradient is shown for all losses, activations and layers,
with and without dropout, in test_equivalence.py.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from pipeline.config import registry
from pipeline.config.options import options
from pipeline.config.schema import (
    AttackConfig,
    Config,
    DataConfig,
    DropoutConfig,
    LossConfig,
    ModelConfig,
    TrainerConfig,
)
from pipeline.data.tensors import load
from pipeline.engine.activations import make_activation
from pipeline.engine.attacks import adversarial_metrics, make_attack
from pipeline.engine.evaluation import Evaluation, part
from pipeline.engine.layers.dense import Dense
from pipeline.engine.members import sort_members
from pipeline.engine.module import GroupModule
from pipeline.engine.network import Network
from pipeline.training.fit import make_trainer
from tests.engine.test_layers import Smooth

pytestmark = pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.` is deprecated")

INPUTS = torch.tensor([[[0.0, 0.5, 1.0], [0.2, 0.2, 0.2]]])
GRADIENT = torch.tensor(
    [[[3.0, 0.0, 1e-9], [-1.0, 2.0, -0.0]], [[-1.0, 1.0, 1.0], [0.0, 0.0, 7.0]]]
)
EPSILON = torch.tensor([0.25, 0.1]).view(2, 1, 1)

ROWS = {
    "fgsm": [
        [[0.25, 0.5, 1.25], [-0.05, 0.45, 0.2]],
        [[-0.1, 0.6, 1.1], [0.2, 0.2, 0.3]],
    ],
}
"""INPUTS of two members with these gradients and ε, perturbed; no number is clipped to [0, 1]."""


def test_every_attack_has_a_row_and_a_file_of_its_own():
    assert set(ROWS) == set(registry.names("attack"))
    assert {*ROWS, "none"} == set(options("attack"))


@pytest.mark.parametrize("name", ROWS)
def test_inputs_are_perturbed_as_by_hand(name: str):
    inputs = INPUTS.clone()
    found = make_attack(name)(inputs, GRADIENT, EPSILON)
    torch.testing.assert_close(found, torch.tensor(ROWS[name]))
    assert torch.equal(inputs, INPUTS)  # which the other members read, too


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("epsilon", [0.0, 0.25, 1.0])
def test_no_input_moves_by_more_than_epsilon(name: str, epsilon: float):
    inputs, gradient = torch.rand(1, 50, 20), torch.randn(3, 50, 20)
    found = make_attack(name)(inputs, gradient, torch.full((3, 1, 1), epsilon))
    assert (found - inputs).abs().max() <= epsilon + 1e-6
    assert epsilon > 0 or torch.equal(found, inputs.expand(3, -1, -1))


def test_the_metrics_are_what_one_counts():
    """Members with two of four answers right, with none, with all."""
    labels = torch.tensor([0, 1, 2, 2], dtype=torch.uint8)
    predictions = torch.tensor([[0, 0, 2, 0], [1, 0, 0, 0], [0, 1, 2, 2]], dtype=torch.uint8)
    confidences = torch.tensor([[0.9, 0.8, 0.7, 0.6], [0.5, 0.6, 0.7, 1.0], [1.0, 1.0, 1.0, 1.0]])
    found = adversarial_metrics(predictions, confidences, labels)
    assert {name: values.tolist() for name, values in found.items()} == {
        "adversarial_accuracy": [0.5, 0.0, 1.0],
        "adversarial_confidence": pytest.approx([0.7, 0.7, torch.nan], nan_ok=True),
    }


DATA = DataConfig("digits", batch_size=100, num_train=1000, num_val=200)
TRAINER = TrainerConfig("cpu", max_epochs=2)
DOUBLE = TrainerConfig("cpu", max_epochs=2, precision="float64")
MLP = ModelConfig([20], "tanh", init="xavier")


def fgsm(epsilon: float, **groups: Any) -> Config:
    given: dict[str, Any] = {
        "data": DATA,
        "trainer": TRAINER,
        "attack": AttackConfig("fgsm", epsilon),
    }
    return Config(**given | groups)


def fit(configs: list[Config], network: Network | None = None) -> list[dict[str, float]]:
    """The metrics after the last epoch, config by config."""
    order = sort_members(configs)
    data = load(DataConfig("digits", num_train=1000, num_val=200, batch_size=1))
    module = GroupModule([configs[position] for position in order], data, network)
    evaluation = Evaluation(len(configs))
    make_trainer(configs[0].trainer, [evaluation]).fit(module)
    return [evaluation.epochs[order.index(position)][2] for position in range(len(configs))]


def adversarial(metrics: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if "adversarial" in name}


@pytest.mark.parametrize(
    "groups",
    [
        {},
        {"model": MLP},
        {"model": MLP, "dropout": DropoutConfig("both", None, 0.9, 0.7, phase="test")},
    ],
    ids=["one layer", "a hidden layer", "units dropped at evaluation"],
)
def test_an_epsilon_of_zero_gives_the_accuracy_to_the_last_bit(groups: dict[str, Any]):
    for metrics in fit([fgsm(0.0, seed=seed, **groups) for seed in range(8)]):
        assert metrics["test/adversarial_accuracy"] == metrics["test/accuracy"]


@pytest.mark.parametrize("loss", ["nll", "mse", "ce", "quadratic"])
def test_the_accuracy_falls_as_epsilon_grows(loss: str):
    configs = [fgsm(epsilon, loss=LossConfig(loss)) for epsilon in (0.0, 0.05, 0.1, 0.2)]
    accuracies = [metrics["test/adversarial_accuracy"] for metrics in fit(configs)]
    assert accuracies == sorted(accuracies, reverse=True)
    assert accuracies[-1] < accuracies[0] / 2


def test_an_attack_leaves_all_other_metrics_as_they_are():
    (with_attack,) = fit([fgsm(0.1, model=MLP)])
    (without,) = fit([fgsm(0.1, model=MLP, attack=AttackConfig())])
    assert {name: with_attack[name] for name in without} == without
    assert with_attack.keys() - without.keys() == adversarial(with_attack).keys()
    assert len(adversarial(with_attack)) == 2


def test_members_of_one_group_are_attacked_each_in_its_own_way_as_when_alone():
    dropped = DropoutConfig("input", 0.8, phase="always")
    configs = [
        fgsm(0.1),
        fgsm(0.1, attack=AttackConfig()),
        fgsm(0.02, loss=LossConfig("mse")),
        fgsm(0.1, dropout=dropped),
        fgsm(0.3, dropout=DropoutConfig("logits", 0.5, phase="test")),
        fgsm(0.1, attack=AttackConfig(), dropout=dropped),
        fgsm(0.1, seed=1),
        fgsm(0.0, seed=1, dropout=dropped),
    ]
    configs = [replace(config, trainer=DOUBLE) for config in configs]
    for config, metrics in zip(configs, fit(configs), strict=True):
        assert metrics == pytest.approx(fit([config])[0], rel=1e-9)
        assert bool(adversarial(metrics)) == (config.attack.name == "fgsm")


def test_how_many_examples_and_members_there_are_at_once_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
):
    dropout = DropoutConfig("both", None, 0.9, 0.7, phase="test")
    configs = [
        fgsm(0.05 * number, seed=number % 2, model=MLP, trainer=DOUBLE) for number in range(5)
    ]
    configs += [replace(config, dropout=dropout) for config in configs]
    whole = fit(configs)
    monkeypatch.setattr(part, "CHUNK", 77)
    monkeypatch.setattr(part, "MAX_NUMBERS", {"cpu": 12_000})
    for one, other in zip(whole, fit(configs), strict=True):
        assert one == pytest.approx(other, rel=1e-9)


def test_a_first_layer_without_a_written_backward_is_attacked_too():
    network = Network((Smooth(64), Dense(64, 10)), make_activation(MLP))
    (metrics,) = fit([fgsm(0.05, model=MLP)], network)
    assert metrics["test/adversarial_accuracy"] < metrics["test/accuracy"] - 0.1
