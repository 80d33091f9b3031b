"""Layers: the dense one by hand, and one from outside that writes no backward."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F  # noqa: N812  (torch's own convention)

from pipeline.config.schema import (
    Config,
    DataConfig,
    ModelConfig,
    OptimizerConfig,
    RegularizerConfig,
    TrainerConfig,
)
from pipeline.data.tensors import load
from pipeline.engine.activations import make_activation
from pipeline.engine.initialization import standard_deviations
from pipeline.engine.layers import Layer
from pipeline.engine.layers.dense import Dense
from pipeline.engine.module import GroupModule
from pipeline.engine.network import Network
from pipeline.engine.streams import example_order
from pipeline.training.fit import make_trainer

pytestmark = pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.` is deprecated")


def start(init: str, std: float = 0.3, seed: int = 1, width: int = 2000) -> list[Tensor]:
    source = torch.Generator().manual_seed(seed)
    return Dense(400, width).initial_parameters(ModelConfig(init=init, init_std=std), source)


@pytest.mark.parametrize("init", ["normal", "scaled_normal", "xavier", "he", "zeros"])
def test_parameters_are_normal_with_the_inits_spread(init: str):
    expected = {
        "normal": (0.3, 0.3),
        "scaled_normal": (0.3 / math.sqrt(400), 0.3),
        "xavier": (math.sqrt(2 / 2400), 0.0),
        "he": (math.sqrt(2 / 400), 0.0),
        "zeros": (0.0, 0.0),
    }[init]
    assert standard_deviations(ModelConfig(init=init, init_std=0.3), 400, 2000) == expected
    weights, biases = start(init)
    assert (weights.shape, biases.shape) == ((2000, 400), (2000,))
    for values, std in zip((weights, biases), expected, strict=True):
        margin = 5 * std / math.sqrt(values.numel())  # five standard errors
        assert values.mean().item() == pytest.approx(0, abs=margin)
        assert values.std().item() == pytest.approx(std, abs=margin)
        within_one = (values.abs() <= std).double().mean().item()
        assert within_one == pytest.approx(0.6827 if std else 1, abs=0.06)


def test_same_seed_same_numbers_other_seed_others_and_inits_share_their_draws():
    weights, biases = start("normal", width=10)
    assert all(map(torch.equal, start("normal", width=10), (weights, biases)))
    assert not torch.isclose(weights, start("normal", width=10, seed=2)[0]).any()
    torch.testing.assert_close(start("he", width=10)[0], weights / 0.3 * math.sqrt(2 / 400))


def test_uniform_parameters_are_those_of_torchs_linear_layer():
    weights, biases = start("uniform")
    for values in (weights, biases):
        assert values.abs().max() <= 1 / 20
        assert values.std().item() == pytest.approx(1 / 20 / math.sqrt(3), rel=0.06)
        torchs = getattr(nn.Linear(400, 2000), "weight" if values is weights else "bias")
        assert values.std().item() == pytest.approx(torchs.std().item(), rel=0.06)
    assert weights.mean().item() == pytest.approx(0, abs=5 / 20 / math.sqrt(3 * weights.numel()))


@pytest.mark.parametrize("width", [10, 400, 500])
def test_orthogonal_weights_are_those_of_torchs_init(width: int):
    weights, biases = start("orthogonal", width=width)
    narrow = weights if width <= 400 else weights.T
    torch.testing.assert_close(narrow @ narrow.T, torch.eye(len(narrow)).double())
    source = torch.Generator().manual_seed(1)
    expected = nn.init.orthogonal_(torch.empty(width, 400).double(), generator=source)
    torch.testing.assert_close(weights, expected)
    assert not biases.any()


class Smooth(Layer):
    """A moving average of three neighbouring units with one learned weight each, and a bias."""

    parameter_names = ("weight", "shift")

    def __init__(self, num_units: int) -> None:
        self.num_units = num_units

    def initial_parameters(self, config: ModelConfig, generator: Generator) -> list[Tensor]:
        del config
        weight = torch.randn(3, generator=generator, dtype=torch.float64)
        return [weight, torch.zeros(1, dtype=torch.float64)]

    def forward(self, parameters: Sequence[Tensor], units: Tensor) -> Tensor:
        weight, shift = parameters
        padded = F.pad(units, (0, 0, 1, 1))
        parts = [padded[:, i : i + self.num_units] * weight[:, i, None, None] for i in range(3)]
        return sum(parts, shift.unsqueeze(-1))


LAYERS = {
    "first": (Smooth(64), Dense(64, 10)),
    "between": (Dense(64, 12), Smooth(12), Dense(12, 10)),
}


@pytest.mark.parametrize("place", LAYERS)
@pytest.mark.parametrize("optimizer", ["sgd", "momentum"])
def test_a_layer_without_a_written_backward_trains_as_autograd_would(place: str, optimizer: str):
    momentum = None if optimizer == "sgd" else 0.9
    configs = [
        Config(
            seed,
            regularizer=RegularizerConfig("l2", strength),
            optimizer=OptimizerConfig(optimizer, lr, momentum),
            model=ModelConfig([12], "tanh", init="xavier"),
            data=DataConfig("digits", batch_size=30, num_train=100, num_val=10),
            trainer=TrainerConfig("cpu", max_epochs=1, precision="float64"),
        )
        for seed, strength, lr in [(0, 0.1, 0.1), (0, 0.0, 0.02), (3, 0.01, 0.1)]
    ]
    data = load(DataConfig("digits", num_train=100, num_val=10, batch_size=1), torch.float64)
    layers = LAYERS[place]
    network = Network(layers, make_activation(configs[0].model))
    module = GroupModule(configs, data, network)
    starts = [list(module.parameters_of(member).values()) for member in range(3)]
    leaves = [[nn.Parameter(t.clone()) for t in tensors] for tensors in starts]
    make_trainer(configs[0].trainer).fit(module)
    for member, config in enumerate(configs):
        own = leaves[member]
        torchs = torch.optim.SGD(own, config.optimizer.lr, momentum or 0.0)
        for rows in torch.split(example_order(config.seed, 1, 100), 30):
            units = data.train.inputs[rows].T.unsqueeze(0)
            for number, layer in enumerate(layers):
                parameters = [own[2 * number].unsqueeze(0), own[2 * number + 1].unsqueeze(0)]
                z = layer.forward(parameters, units)
                units = z if layer is layers[-1] else torch.tanh(z)
            cost = F.cross_entropy(units[0].T, data.train.labels[rows])
            squares = sum(weight.square().sum() for weight in own[::2])
            torchs.zero_grad()
            (cost + config.regularizer.strength / 2 * squares).backward()
            torchs.step()
        found = module.parameters_of(member)
        assert list(found)[: 2 * len(layers) : 2] == [
            f"layer{number}.weight" for number in range(1, len(layers) + 1)
        ]
        for tensor, expected in zip(found.values(), own, strict=True):
            torch.testing.assert_close(tensor, expected.detach(), rtol=1e-9, atol=1e-12)
