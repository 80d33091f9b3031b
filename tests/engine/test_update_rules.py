"""Update rules for many networks at once against torch.optim, member by member."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from pipeline.config.schema import OptimizerConfig
from pipeline.engine.optimizers import OPTIMIZERS, make_optimizer
from pipeline.engine.update_rules import UPDATE_RULES, make_update_rule

STEPS = 50

MEMBERS = {
    "sgd": [OptimizerConfig("sgd", lr, weight_decay=wd) for lr, wd in [(0.5, 0), (0.1, 0.01)]],
    "momentum": [
        OptimizerConfig("momentum", 0.1, momentum=0.9),
        OptimizerConfig("momentum", 0.05, momentum=0.0, weight_decay=0.1),
    ],
    "nesterov": [
        OptimizerConfig("nesterov", 0.1, momentum=0.9, weight_decay=0.1),
        OptimizerConfig("nesterov", 0.2, momentum=0.5),
    ],
    "adam": [
        OptimizerConfig("adam", 0.01, betas=[0.9, 0.999], eps=1e-8),
        OptimizerConfig("adam", 0.1, betas=[0.5, 0.9], eps=1e-3, weight_decay=0.1),
    ],
    "adamw": [
        OptimizerConfig("adamw", 0.01, betas=[0.9, 0.999], eps=1e-8, weight_decay=0.01),
        OptimizerConfig("adamw", 0.1, betas=[0.0, 0.9], eps=1e-6),
    ],
}


def test_every_optimizer_has_its_rule_and_its_row():
    assert set(UPDATE_RULES) == set(OPTIMIZERS) == set(MEMBERS)


@pytest.mark.parametrize("name", sorted(UPDATE_RULES))
def test_each_member_takes_the_steps_of_torchs_optimizer(name: str):
    configs = MEMBERS[name]
    numbers = torch.Generator().manual_seed(1)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=torch.float64, generator=numbers)

    weights, biases = random(2, 3, 4), random(2, 3)
    alone = [
        [nn.Parameter(weights[member].clone()), nn.Parameter(biases[member].clone())]
        for member in range(2)
    ]
    optimizers = [
        make_optimizer(parameters, config)
        for parameters, config in zip(alone, configs, strict=True)
    ]
    rule = make_update_rule([weights, biases], configs)
    for _ in range(STEPS):
        gradients = [random(2, 3, 4), random(2, 3)]
        for member, (parameters, optimizer) in enumerate(zip(alone, optimizers, strict=True)):
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.grad = gradient[member].clone()
            optimizer.step()
        rule.step(gradients)
    for member, (own_weights, own_biases) in enumerate(alone):
        torch.testing.assert_close(weights[member], own_weights.data, rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(biases[member], own_biases.data, rtol=1e-9, atol=1e-12)
