import math

import pytest
import torch

from pipeline.config import schema
from pipeline.engine.network import ACTIVATIONS, Network, initial_parameters

ROWS = {
    "sigmoid": lambda z: 1 / (1 + math.exp(-z)),
    "tanh": lambda z: (math.exp(z) - math.exp(-z)) / (math.exp(z) + math.exp(-z)),
    "relu": lambda z: max(z, 0.0),
    "identity": lambda z: z,
}
every_activation = pytest.mark.parametrize("name", ROWS)


def test_every_activation_has_a_row_and_can_be_chosen():
    for name in ACTIVATIONS:
        assert name in ROWS, f"add a row for {name} to ROWS in tests/test_network.py"
    assert set(ROWS) == set(ACTIVATIONS) == set(schema.ACTIVATIONS)


@every_activation
def test_activation_is_the_textbook_formula(name):
    weighted = [-3.0, -0.5, 0.0, 0.25, 4.0]
    activations = ACTIVATIONS[name](torch.tensor(weighted, dtype=torch.float64))
    assert activations.tolist() == pytest.approx([ROWS[name](z) for z in weighted], rel=1e-14)


@every_activation
def test_activations_gradient_is_that_of_its_value(name):
    weighted = torch.tensor([-3.0, -0.5, 0.25, 4.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(ACTIVATIONS[name], (weighted,))


@every_activation
def test_logits_of_a_small_network_by_hand(name):
    w1, b1 = [[0.1, -0.2], [0.3, 0.4], [-0.5, 0.6]], [0.01, -0.02, 0.03]
    w2, b2 = [[1.0, -1.0, 0.5], [0.0, 2.0, -0.25]], [0.5, -0.5]
    inputs = [0.7, -0.9]

    def layer(weights, biases, units):
        return [
            sum(w * u for w, u in zip(row, units, strict=True)) + bias
            for row, bias in zip(weights, biases, strict=True)
        ]

    hidden = [ROWS[name](z) for z in layer(w1, b1, inputs)]
    parameters = [(torch.tensor(w), torch.tensor(b)) for w, b in ((w1, b1), (w2, b2))]
    logits = Network(parameters, name)(torch.tensor([inputs]))
    assert logits.tolist()[0] == pytest.approx(layer(w2, b2, hidden), rel=1e-6)


def start(sizes, init, *, std=1.0, seed=1, dtype=torch.float64):
    source = torch.Generator().manual_seed(seed)
    return initial_parameters(sizes, init=init, std=std, generator=source, dtype=dtype)


@pytest.mark.parametrize("init", schema.INITS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_layers_fit_each_other(init, dtype):
    parameters = start([7, 5, 4, 3], init, dtype=dtype)
    assert [tuple(w.shape) for w, _ in parameters] == [(5, 7), (4, 5), (3, 4)]
    assert [tuple(b.shape) for _, b in parameters] == [(5,), (4,), (3,)]
    assert {tensor.dtype for layer in parameters for tensor in layer} == {dtype}


SPREADS = {
    "normal": (0.3, 0.3),
    "scaled_normal": (0.3 / math.sqrt(400), 0.3),
    "xavier": (math.sqrt(2 / (400 + 2000)), 0.0),
    "he": (math.sqrt(2 / 400), 0.0),
    "zeros": (0.0, 0.0),
}


def test_every_init_has_a_row():
    assert set(SPREADS) == set(schema.INITS), "add a row to SPREADS in tests/test_network.py"


@pytest.mark.parametrize("init", SPREADS)
def test_numbers_are_normal_with_the_inits_spread(init):
    weight_std, bias_std = SPREADS[init]
    (weights, biases), (_, last_biases) = start([400, 2000, 10], init, std=0.3)
    for values, std in ((weights, weight_std), (biases, bias_std)):
        error = 5 * std / math.sqrt(values.numel())  # five standard errors
        assert values.mean().item() == pytest.approx(0, abs=error)
        assert values.std().item() == pytest.approx(std, abs=error)
        within_one = (values.abs() <= std).double().mean().item()
        assert within_one == pytest.approx(0.6827 if std else 1, abs=0.06)
    assert (last_biases == 0).all() == (bias_std == 0)


@pytest.mark.parametrize("init", schema.INITS)
def test_float32_starts_from_the_float64_numbers_rounded(init):
    single = start([30, 20, 10], init, dtype=torch.float32)
    double = start([30, 20, 10], init, dtype=torch.float64)
    for (w32, b32), (w64, b64) in zip(single, double, strict=True):
        assert torch.equal(w32, w64.float())
        assert torch.equal(b32, b64.float())


def test_same_seed_same_numbers_other_seed_others():
    ((weights, biases),) = start([30, 20], "normal")
    ((same_weights, same_biases),) = start([30, 20], "normal")
    ((other_weights, other_biases),) = start([30, 20], "normal", seed=2)
    assert torch.equal(weights, same_weights)
    assert torch.equal(biases, same_biases)
    assert not torch.isclose(weights, other_weights).any()
    assert not torch.isclose(biases, other_biases).any()


def test_a_networks_inits_share_their_draws():
    """So that two inits are compared on the same random numbers."""
    normal, he = start([30, 20, 10], "normal"), start([30, 20, 10], "he")
    for (wide, _), (narrow, _), fan_in in zip(normal, he, (30, 20), strict=True):
        torch.testing.assert_close(narrow, wide * math.sqrt(2 / fan_in))
