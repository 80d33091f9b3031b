"""What every regularizer must hold to. A new one adds its row to ROWS and passes all of this."""

from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch

from pipeline.config import registry
from pipeline.config.options import options
from pipeline.config.schema import RegularizerConfig
from pipeline.engine.regularizers import Regularizer, make_regularizer


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
# Two members' weights of one layer.
WEIGHTS = [[[1.5, -2.0, 0.0], [0.25, -0.0, 3.0]], [[-0.1, 1e-3, 7.0], [2.0, -1.0, 0.0]]]

every_regularizer = pytest.mark.parametrize("name", ROWS)


def regularizer(name: str, l1_ratio: float | None = None) -> Regularizer:
    strength = 0.0 if name == "none" else 0.1
    ratio = ROWS[name].l1_ratio if l1_ratio is None else l1_ratio
    return make_regularizer(RegularizerConfig(name, strength, ratio))


def weights() -> torch.Tensor:
    return torch.tensor(WEIGHTS, dtype=torch.float64)


def test_every_regularizer_has_a_row_and_a_yaml():
    for name in registry.names("regularizer"):
        assert name in ROWS, f"add a row for {name} to ROWS in tests/engine/test_regularizers.py"
        assert name in options("regularizer"), f"add conf/regularizer/{name}.yaml"
    assert set(ROWS) == set(options("regularizer")) == set(registry.names("regularizer"))


@every_regularizer
def test_value_is_the_sum_over_a_members_weights_without_the_strength(name):
    totals = [sum(ROWS[name].value(w) for row in member for w in row) for member in WEIGHTS]
    assert regularizer(name).value(weights()).tolist() == pytest.approx(totals, rel=1e-14)


@every_regularizer
def test_gradient_is_that_of_the_value(name):
    expected = [[[ROWS[name].gradient(w) for w in row] for row in member] for member in WEIGHTS]
    found = regularizer(name).gradient(weights())
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))
    by_autograd = Regularizer.gradient(regularizer(name), weights())
    torch.testing.assert_close(by_autograd, found, rtol=1e-14, atol=0)


@pytest.mark.parametrize("name", ["l1", "elastic"])
def test_l1_does_not_pull_at_weights_that_are_zero(name):
    assert torch.equal(regularizer(name).gradient(torch.zeros(1, 2, 3)), torch.zeros(1, 2, 3))


@pytest.mark.parametrize(("l1_ratio", "same_as"), [(1.0, "l1"), (0.0, "l2")])
def test_elastic_ends_at_l1_and_l2(l1_ratio, same_as):
    found = regularizer("elastic", l1_ratio).value(weights())
    torch.testing.assert_close(found, regularizer(same_as).value(weights()))


@every_regularizer
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_keeps_the_precision_of_the_weights(name, dtype):
    one = regularizer(name)
    assert one.value(weights().to(dtype)).dtype == dtype
    assert one.gradient(weights().to(dtype)).dtype == dtype
