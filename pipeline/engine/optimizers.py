"""Optimizers of a single run: torch.optim's, built from a config.

To add one: an entry here, its YAML in conf/optimizer, a row in tests/test_optimizers.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from torch import nn, optim

from pipeline.config.schema import OptimizerConfig

__all__ = ["OPTIMIZERS", "make_optimizer"]

Parameters = Iterable[nn.Parameter]


def _sgd(parameters: Parameters, config: OptimizerConfig) -> optim.Optimizer:
    momentum = 0.0 if config.momentum is None else config.momentum
    return optim.SGD(
        parameters,
        lr=config.lr,
        momentum=momentum,
        nesterov=config.name == "nesterov" and momentum > 0,  # torch refuses it with momentum 0
        weight_decay=config.weight_decay,
    )


def _adam(parameters: Parameters, config: OptimizerConfig) -> optim.Optimizer:
    assert config.betas is not None
    assert config.eps is not None
    rule = optim.AdamW if config.name == "adamw" else optim.Adam
    return rule(
        parameters,
        lr=config.lr,
        betas=(config.betas[0], config.betas[1]),
        eps=config.eps,
        weight_decay=config.weight_decay,
    )


OPTIMIZERS: dict[str, Callable[[Parameters, OptimizerConfig], optim.Optimizer]] = {
    "sgd": _sgd,
    "momentum": _sgd,
    "nesterov": _sgd,
    "adam": _adam,
    "adamw": _adam,
}


def make_optimizer(parameters: Parameters, config: OptimizerConfig) -> optim.Optimizer:
    """Return torch's optimizer for the parameters of a network."""
    return OPTIMIZERS[config.name](parameters, config)
