"""Permutation importance: the columns that a network needs, found without multiplying all again."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from pipeline.config.schema import ModelConfig
from pipeline.data.layout import CATEGORY, NUMBER, Column, Numbers, Table
from pipeline.data.scaling import Scaling
from pipeline.data.tensors import Split
from pipeline.trained.classifier import Classifier
from pipeline.trained.importance import features_by_column, permutation_importance

LAYOUT = Table(
    (
        Column("age", NUMBER),
        Column("id", "dropped"),
        Column("color", CATEGORY, ("blue", "green", "red")),
        Column("mood", "target"),
        Column("size", NUMBER),
    )
)


def network_of(weights: list[torch.Tensor], layout: Table | Numbers) -> Classifier:
    """A network without biases; its inputs are scaled already."""
    parameters: dict[str, torch.Tensor] = {}
    for number, weight in enumerate(weights, start=1):
        parameters[f"layer{number}.weight"] = weight
        parameters[f"layer{number}.bias"] = torch.zeros(len(weight))
    size = layout.num_features
    return Classifier(
        ModelConfig([len(weight) for weight in weights[:-1]], activation="tanh"),
        parameters,
        classes=tuple(map(str, range(len(weights[-1])))),
        layout=layout,
        scaling=Scaling(np.full(size, 7.0), np.full(size, 3.0)),
    )


@pytest.fixture
def network() -> Classifier:
    draw = torch.Generator().manual_seed(0)
    return network_of(
        [torch.randn(8, 5, generator=draw), torch.randn(3, 8, generator=draw)], LAYOUT
    )


@pytest.fixture
def examples(network: Classifier) -> Split:
    inputs = torch.randn(3_000, 5, generator=torch.Generator().manual_seed(1))
    return Split(inputs, network.logits_above(network.first_weighted(inputs)).argmax(1))


def test_the_features_of_a_category_belong_together():
    columns = features_by_column(LAYOUT)
    assert columns == {"age": slice(0, 1), "color": slice(1, 4), "size": slice(4, 5)}
    assert list(features_by_column(Numbers(3))) == ["x0", "x1", "x2"]


def test_it_is_what_shuffling_the_inputs_gives(network: Classifier, examples: Split):
    found = permutation_importance(network, examples, features_by_column(LAYOUT), seed=3)
    generator = torch.Generator().manual_seed(3)
    orders = [torch.randperm(3_000, generator=generator) for _ in range(10)]
    for importance, features in zip(found, features_by_column(LAYOUT).values(), strict=True):
        drops: list[float] = []
        for order in orders:
            inputs = examples.inputs.clone()
            inputs[:, features] = inputs[order, features]
            predicted = network(inputs.double() * 3 + 7).argmax(1)  # the network scales by itself
            drops.append(100 * (predicted != examples.labels).double().mean().item())
        assert importance.drop == pytest.approx(np.mean(drops), abs=0.02)
        low, high = stats.t.interval(0.95, 9, np.mean(drops), stats.sem(drops))
        assert (importance.low, importance.high) == pytest.approx((low, high), abs=0.05)


def test_a_column_that_is_not_read_has_no_importance_and_the_only_one_has_all():
    weight = torch.tensor([[5.0, 0.0], [-5.0, 0.0]])
    network = network_of([weight], Numbers(2))
    inputs = torch.randn(4_000, 2, generator=torch.Generator().manual_seed(0))
    examples = Split(inputs, (inputs[:, 0] < 0).long())
    one, other = permutation_importance(network, examples, features_by_column(Numbers(2)))
    assert one.drop == pytest.approx(50, abs=1.5)  # a coin is right as often
    assert one.low < one.drop < one.high
    assert (other.drop, other.low, other.high) == (0, 0, 0)


def test_the_same_seed_gives_the_same(network: Classifier, examples: Split):
    columns = features_by_column(LAYOUT)
    one, same, other = (
        permutation_importance(network, examples, columns, seed=seed) for seed in (0, 0, 1)
    )
    assert one == same
    assert one != other
