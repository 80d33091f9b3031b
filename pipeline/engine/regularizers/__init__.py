"""Regularizers: functions of the weights that are added to the loss, each with its gradient.

To add one: a module here with its class, its YAML in conf/regularizer, a row in
tests/engine/test_regularizers.py.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import cast

from jaxtyping import Float
from torch import Tensor

from pipeline.config import registry
from pipeline.config.schema import RegularizerConfig
from pipeline.engine.autodiff import gradient

__all__ = ["PerMember", "Regularizer", "Weights", "make_regularizer"]

Weights = Float[Tensor, "members ..."]
"""One layer's weights, of whatever shape."""
PerMember = Float[Tensor, " members"]


class Regularizer(ABC):
    """A function of one layer's weights; what uses it multiplies it by the strength λ."""

    def __init__(self, config: RegularizerConfig) -> None:
        """Take the config, for a regularizer that has parameters of its own."""
        self.config = config

    @abstractmethod
    def value(self, weights: Weights) -> PerMember:
        """Return the value of every member, before it is multiplied by λ."""

    def gradient(self, weights: Weights) -> Weights:
        """Return the derivative of the value by the weights.

        By automatic differentiation, unless a regularizer has it written.
        """
        return gradient(self.value, weights)


def make_regularizer(config: RegularizerConfig) -> Regularizer:
    """Return the regularizer of a config."""
    return cast("Regularizer", registry.find("regularizer", config.name)(config))
