"""What every activation function must hold to. A new one adds its row to ROWS."""

import math

import pytest
import torch

from pipeline.config import registry
from pipeline.config.schema import ModelConfig
from pipeline.engine.activations import Activation, make_activation

ROWS = {
    "sigmoid": lambda z: 1 / (1 + math.exp(-z)),
    "tanh": lambda z: (math.exp(z) - math.exp(-z)) / (math.exp(z) + math.exp(-z)),
    "relu": lambda z: max(z, 0.0),
    "identity": lambda z: z,
    "gelu": lambda z: z * (1 + math.erf(z / math.sqrt(2))) / 2,
    "silu": lambda z: z / (1 + math.exp(-z)),
    "elu": lambda z: z if z > 0 else math.exp(z) - 1,
    "leaky_relu": lambda z: max(z, 0.01 * z),
}
every_activation = pytest.mark.parametrize("name", ROWS)


def activation(name: str) -> Activation:
    return make_activation(ModelConfig(activation=name))


def test_every_activation_has_a_row():
    for name in registry.names("activation"):
        assert name in ROWS, f"add a row for {name} to ROWS in tests/engine/test_activations.py"
    assert set(ROWS) == set(registry.names("activation"))


@every_activation
def test_is_the_textbook_formula(name):
    weighted = [-3.0, -0.5, 0.0, 0.25, 4.0]
    found = activation(name)(torch.tensor(weighted, dtype=torch.float64))
    assert found.tolist() == pytest.approx([ROWS[name](z) for z in weighted], rel=1e-14)


@every_activation
def test_backward_is_the_derivative_times_the_error(name):
    function = activation(name)
    z = torch.tensor([-3.0, -0.5, 0.25, 4.0], dtype=torch.float64)
    error = torch.tensor([1.0, 2.0, -3.0, 0.5], dtype=torch.float64)
    assert torch.autograd.gradcheck(function, (z.clone().requires_grad_(),))
    by_autograd = Activation.backward(function, error, z, function(z))
    torch.testing.assert_close(function.backward(error, z, function(z)), by_autograd)
    torch.testing.assert_close(by_autograd, error * Activation.derivative(function, z, z))


@every_activation
def test_value_and_derivative_stay_finite_far_from_zero(name):
    z = torch.tensor([-1e30, -1e4, 1e4, 1e30])
    a = activation(name)(z)
    assert a.isfinite().all()
    assert activation(name).derivative(z, a).isfinite().all()


def test_relu_has_no_slope_at_zero():
    zero = torch.zeros(1)
    assert activation("relu").derivative(zero, zero).item() == 0
