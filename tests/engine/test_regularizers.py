"""What every penalty must hold to. A new one adds its row to ROWS and passes all of this."""

from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch

from pipeline.config.options import options
from pipeline.config.schema import RegularizerConfig
from pipeline.engine.regularizers import REGULARIZERS, penalty


class Row(NamedTuple):
    value: Callable[[float], float]
    """Of one weight; the penalty is their sum."""
    gradient: Callable[[float], float]
    l1_ratio: float | None = None


def sign(w: float) -> float:
    return float(w > 0) - float(w < 0)


ROWS = {
    "none": Row(lambda w: 0.0, lambda w: 0.0),  # noqa: ARG005
    "l1": Row(abs, sign),
    "l2": Row(lambda w: w * w / 2, lambda w: w),
    "elastic": Row(
        lambda w: 0.3 * abs(w) + 0.7 * w * w / 2,
        lambda w: 0.3 * sign(w) + 0.7 * w,
        l1_ratio=0.3,
    ),
}
LAYERS = [[[1.5, -2.0, 0.0], [0.25, -0.0, 3.0]], [[-0.1, 1e-3]]]

every_penalty = pytest.mark.parametrize("name", ROWS)


def config(name: str, strength: float) -> RegularizerConfig:
    return RegularizerConfig(name, 0.0 if name == "none" else strength, ROWS[name].l1_ratio)


def weights() -> list[torch.Tensor]:
    return [torch.tensor(layer, dtype=torch.float64, requires_grad=True) for layer in LAYERS]


def test_every_penalty_has_a_row_and_a_yaml():
    for name in REGULARIZERS:
        assert name in ROWS, f"add a row for {name} to ROWS in tests/test_regularizers.py"
        assert name in options("regularizer"), f"add conf/regularizer/{name}.yaml"
    assert set(ROWS) == set(options("regularizer")) == set(REGULARIZERS)


@every_penalty
def test_value_is_the_strength_times_the_sum_over_all_layers(name):
    total = sum(ROWS[name].value(w) for layer in LAYERS for row in layer for w in row)
    value = penalty(config(name, 0.01), weights())
    assert value.shape == ()
    assert value.item() == pytest.approx(0.01 * total, rel=1e-14)


@every_penalty
def test_gradient_beside_the_value_is_its_gradient(name):
    for layer, by_hand in zip(weights(), LAYERS, strict=True):
        expected = [[ROWS[name].gradient(w) for w in row] for row in by_hand]
        gradient = REGULARIZERS[name].gradient(layer.detach(), ROWS[name].l1_ratio)
        torch.testing.assert_close(gradient, torch.tensor(expected, dtype=torch.float64))


@every_penalty
def test_autograd_of_the_value_is_that_gradient(name):
    layers = [layer.detach().clone().requires_grad_() for layer in weights()]
    value = penalty(config(name, 0.01), layers)
    if name != "none":
        value.backward()
    for layer in layers:
        gradient = REGULARIZERS[name].gradient(layer.detach(), ROWS[name].l1_ratio)
        by_autograd = torch.zeros_like(layer) if layer.grad is None else layer.grad
        torch.testing.assert_close(by_autograd, 0.01 * gradient, rtol=1e-14, atol=0)


@every_penalty
def test_strength_zero_costs_nothing(name):
    assert penalty(config(name, 0.0), weights()).item() == 0


@pytest.mark.parametrize("name", ["l1", "elastic"])
def test_l1_does_not_pull_at_weights_that_are_zero(name):
    zeros = torch.zeros(2, 3, requires_grad=True)
    penalty(config(name, 1.0), [zeros]).backward()
    assert torch.equal(zeros.grad, torch.zeros(2, 3))  # pyright: ignore[reportArgumentType]
    by_hand = REGULARIZERS[name].gradient(zeros.detach(), ROWS[name].l1_ratio)
    assert torch.equal(by_hand, torch.zeros(2, 3))


@pytest.mark.parametrize(("l1_ratio", "same_as"), [(1.0, "l1"), (0.0, "l2")])
def test_elastic_ends_at_l1_and_l2(l1_ratio, same_as):
    elastic = penalty(RegularizerConfig("elastic", 0.01, l1_ratio), weights())
    assert elastic.item() == pytest.approx(penalty(config(same_as, 0.01), weights()).item())


@every_penalty
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_keeps_the_precision_of_the_weights(name, dtype):
    layers = [layer.detach().to(dtype) for layer in weights()]
    assert penalty(config(name, 0.01), layers).dtype == dtype
    assert REGULARIZERS[name].gradient(layers[0], ROWS[name].l1_ratio).dtype == dtype
