"""Penalties on the weights, each with its gradient beside it.

To add one: a `Penalty` here, its YAML in conf/regularizer, a row in tests/test_regularizers.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.config.schema import RegularizerConfig

__all__ = ["REGULARIZERS", "Penalty", "penalty"]


class Penalty(NamedTuple):
    """A function of one layer's weights and its gradient; the strength λ multiplies both.

    Each takes (weights, l1_ratio); l1_ratio is None except for the penalties that have one.
    """

    value: Callable[[Float[Tensor, "out in"], Tensor | float | None], Float[Tensor, ""]]
    gradient: Callable[
        [Float[Tensor, "*members out in"], Tensor | float | None], Float[Tensor, "*members out in"]
    ]


def _none(weights: Tensor, l1_ratio: Tensor | float | None) -> Tensor:
    del l1_ratio
    return weights.new_zeros(())


def _none_gradient(weights: Tensor, l1_ratio: Tensor | float | None) -> Tensor:
    del l1_ratio
    return torch.zeros_like(weights)


def _l1(weights: Tensor, l1_ratio: Tensor | float | None) -> Tensor:
    del l1_ratio
    return weights.abs().sum()


def _l1_gradient(weights: Tensor, l1_ratio: Tensor | float | None) -> Tensor:
    del l1_ratio
    return weights.sign()


def _l2(weights: Tensor, l1_ratio: Tensor | float | None) -> Tensor:
    del l1_ratio
    return weights.square().sum() / 2


def _l2_gradient(weights: Tensor, l1_ratio: Tensor | float | None) -> Tensor:
    del l1_ratio
    return weights


def _elastic(weights: Tensor, l1_ratio: Tensor | float | None) -> Tensor:
    assert l1_ratio is not None
    return l1_ratio * _l1(weights, None) + (1 - l1_ratio) * _l2(weights, None)


def _elastic_gradient(weights: Tensor, l1_ratio: Tensor | float | None) -> Tensor:
    assert l1_ratio is not None
    return l1_ratio * weights.sign() + (1 - l1_ratio) * weights


REGULARIZERS: dict[str, Penalty] = {
    "none": Penalty(_none, _none_gradient),
    "l1": Penalty(_l1, _l1_gradient),
    "l2": Penalty(_l2, _l2_gradient),
    "elastic": Penalty(_elastic, _elastic_gradient),
}
"""l1: Σ|w|, with the subgradient 0 at 0. l2: Σw²/2. elastic: l1_ratio·l1 + (1 - l1_ratio)·l2."""


def penalty(
    config: RegularizerConfig, weights: Sequence[Float[Tensor, "_out _in"]]
) -> Float[Tensor, ""]:
    """Return λ times the penalty, summed over the layers' weights.

    Args:
        config: which penalty, λ and l1_ratio.
        weights: of every layer; biases are not penalised.
    """
    value = REGULARIZERS[config.name].value
    layers = [value(layer, config.l1_ratio) for layer in weights]
    return config.strength * torch.stack(layers).sum()
