"""Every optimizer is the textbook's update, member by member. A new one adds its rule to RULES."""

import math
from collections.abc import Callable, Generator

import pytest
import torch

from pipeline.config import registry
from pipeline.config.options import options
from pipeline.config.schema import OptimizerConfig
from pipeline.engine.optimizers import make_optimizer

START = [0.5, -1.25, 3.0]
GRADIENTS = [[1.0, -2.0, 0.5], [0.25, 0.75, -1.5], [-3.0, 0.0, 0.125], [0.1, 0.2, 0.3]]

Steps = Generator[float, float, None]
"""Yields a weight, is sent the gradient there, yields the next weight."""


def sgd(c: OptimizerConfig, w: float) -> Steps:
    while True:
        g = yield w
        w -= c.lr * (g + c.weight_decay * w)


def momentum(c: OptimizerConfig, w: float) -> Steps:
    assert c.momentum is not None
    velocity = 0.0
    while True:
        g = yield w
        velocity = c.momentum * velocity + g + c.weight_decay * w
        w -= c.lr * velocity


def nesterov(c: OptimizerConfig, w: float) -> Steps:
    assert c.momentum is not None
    velocity = 0.0
    while True:
        g = yield w
        g += c.weight_decay * w
        velocity = c.momentum * velocity + g
        w -= c.lr * (g + c.momentum * velocity)


def adam(c: OptimizerConfig, w: float, *, decoupled: bool = False) -> Steps:
    """Kingma and Ba, 2015, algorithm 1; decoupled: Loshchilov and Hutter, 2019, algorithm 2."""
    assert c.betas is not None
    assert c.eps is not None
    first = second = 0.0
    step = 0
    while True:
        g = yield w
        step += 1
        decayed = w - c.lr * c.weight_decay * w if decoupled else w
        g += 0.0 if decoupled else c.weight_decay * w
        first = c.betas[0] * first + (1 - c.betas[0]) * g
        second = c.betas[1] * second + (1 - c.betas[1]) * g * g
        first_unbiased = first / (1 - c.betas[0] ** step)
        second_unbiased = second / (1 - c.betas[1] ** step)
        w = decayed - c.lr * first_unbiased / (math.sqrt(second_unbiased) + c.eps)


def rmsprop(c: OptimizerConfig, w: float) -> Steps:
    """Tieleman and Hinton, 2012, lecture 6.5; momentum as in torch.optim."""
    assert c.alpha is not None
    assert c.eps is not None
    assert c.momentum is not None
    square = velocity = 0.0
    while True:
        g = yield w
        g += c.weight_decay * w
        square = c.alpha * square + (1 - c.alpha) * g * g
        velocity = c.momentum * velocity + g / (math.sqrt(square) + c.eps)
        w -= c.lr * velocity


RULES: dict[str, Callable[[OptimizerConfig, float], Steps]] = {
    "sgd": sgd,
    "momentum": momentum,
    "nesterov": nesterov,
    "adam": adam,
    "adamw": lambda c, w: adam(c, w, decoupled=True),
    "rmsprop": rmsprop,
}
CONFIGS = [
    OptimizerConfig("sgd", lr=0.3),
    OptimizerConfig("sgd", lr=0.3, weight_decay=0.1),
    OptimizerConfig("momentum", lr=0.3, momentum=0.0),
    OptimizerConfig("momentum", lr=0.3, momentum=0.9),
    OptimizerConfig("momentum", lr=0.3, momentum=0.5, weight_decay=0.1),
    OptimizerConfig("nesterov", lr=0.3, momentum=0.0),
    OptimizerConfig("nesterov", lr=0.3, momentum=0.9),
    OptimizerConfig("nesterov", lr=0.3, momentum=0.5, weight_decay=0.1),
    OptimizerConfig("adam", lr=0.3, betas=[0.9, 0.999], eps=1e-8),
    OptimizerConfig("adam", lr=0.3, betas=[0.0, 0.5], eps=0.1, weight_decay=0.1),
    OptimizerConfig("adamw", lr=0.3, betas=[0.9, 0.999], eps=1e-8),
    OptimizerConfig("adamw", lr=0.3, betas=[0.6, 0.0], eps=0.1, weight_decay=0.1),
    OptimizerConfig("rmsprop", lr=0.3, momentum=0.0, alpha=0.99, eps=1e-8),
    OptimizerConfig("rmsprop", lr=0.3, momentum=0.9, alpha=0.5, eps=0.1, weight_decay=0.1),
]


def steps_of(configs: list[OptimizerConfig], dtype: torch.dtype) -> list[list[list[float]]]:
    """Return the members' weights after every step with GRADIENTS."""
    weights = torch.tensor([START] * len(configs), dtype=dtype)
    optimizer = make_optimizer([weights], configs)
    history: list[list[list[float]]] = []
    for gradient in GRADIENTS:
        optimizer.step([torch.tensor([gradient] * len(configs), dtype=dtype)])
        history.append(weights.tolist())
    return history


def steps_by_hand(config: OptimizerConfig) -> list[list[float]]:
    rules = [RULES[config.name](config, weight) for weight in START]
    for rule in rules:
        next(rule)
    return [
        [rule.send(g) for rule, g in zip(rules, gradient, strict=True)] for gradient in GRADIENTS
    ]


def of_name(name: str) -> list[OptimizerConfig]:
    return [config for config in CONFIGS if config.name == name]


def test_every_optimizer_has_a_rule_a_row_and_a_yaml():
    for name in registry.names("optimizer"):
        assert name in RULES, f"add the rule of {name} to RULES in tests/engine/test_optimizers.py"
        assert of_name(name), f"add a row for {name} to CONFIGS in tests/engine/test_optimizers.py"
        assert name in options("optimizer"), f"add conf/optimizer/{name}.yaml"
    assert set(RULES) == set(options("optimizer")) == set(registry.names("optimizer"))


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize(("dtype", "exact"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_every_member_takes_the_textbooks_steps(name, dtype, exact):
    """Torch's own optimizers are compared in test_equivalence.py, whole runs of them."""
    configs = of_name(name)
    steps = steps_of(configs, dtype)
    for member, config in enumerate(configs):
        for step, by_hand in zip(steps, steps_by_hand(config), strict=True):
            assert step[member] == pytest.approx(by_hand, rel=exact, abs=exact)


@pytest.mark.parametrize("name", ["momentum", "nesterov"])
def test_without_momentum_it_is_sgd(name):
    config = OptimizerConfig(name, lr=0.3, momentum=0.0, weight_decay=0.1)
    sgd_config = OptimizerConfig("sgd", lr=0.3, weight_decay=0.1)
    assert steps_of([config], torch.float32) == steps_of([sgd_config], torch.float32)


@pytest.mark.parametrize("name", RULES)
def test_a_member_whose_rate_is_0_changes_no_more(name):
    configs = of_name(name)
    weights = torch.tensor([START] * len(configs))
    optimizer = make_optimizer([weights], configs)
    gradient = torch.ones_like(weights)
    optimizer.step([gradient.clone()])
    before = weights.clone()
    optimizer.rates[0] = 0
    optimizer.step([gradient.clone()])
    assert torch.equal(weights[0], before[0])
    assert (weights[1:] != before[1:]).all()


def test_gradients_are_clipped_by_each_members_own_norm_over_all_its_parameters():
    norms = [None, 1.0, 5.0, 1e30]
    weights, biases = torch.randn(4, 3, 7).double() * 3, torch.randn(4, 3).double()
    optimizer = make_optimizer([weights, biases], [OptimizerConfig(clip_norm=n) for n in norms])
    assert not optimizer.is_plain_descent
    gradients = [weights.clone(), biases.clone()]
    optimizer.clip(gradients)
    for member, norm in enumerate(norms):
        own = [torch.nn.Parameter(t[member].clone()) for t in (weights, biases)]
        for leaf in own:
            leaf.grad = leaf.detach().clone()
        length = torch.nn.utils.clip_grad_norm_(own, norm or math.inf)
        assert 6 < length < 30  # so that some are shortened and some are not
        for found, leaf in zip(gradients, own, strict=True):
            torch.testing.assert_close(found[member], leaf.grad, rtol=1e-14, atol=0)
