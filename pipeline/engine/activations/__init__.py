"""Activation functions σ of the hidden units, each with its derivative.

To add one: a module here with its class, and a row in tests/engine/test_activations.py.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import cast

from jaxtyping import Float
from torch import Tensor

from pipeline.config import registry
from pipeline.config.schema import ModelConfig
from pipeline.engine.autodiff import gradient

__all__ = ["Activation", "Units", "make_activation"]

Units = Float[Tensor, "*units"]
"""A number for each unit."""


class Activation(ABC):
    """a = σ(z), unit by unit."""

    def __init__(self, config: ModelConfig) -> None:
        """Take the model's config, for an activation that has parameters of its own."""
        self.config = config

    @abstractmethod
    def __call__(self, z: Units) -> Units:
        """Return σ(z)."""

    def derivative(self, z: Units, a: Units) -> Units:
        """Return σ'(z), the diagonal of the book's Σ'(z).

        By automatic differentiation, unless an activation has it written.

        Args:
            z: the weighted inputs.
            a: σ(z), from which many derivatives are quicker.
        """
        del a
        return gradient(self, z)

    def backward(self, error: Units, z: Units, a: Units) -> Units:
        """Return ∂C/∂z = Σ'(z) ∂C/∂a.

        Args:
            error: ∂C/∂a.
            z: as in `derivative`, like the next one.
            a: see `derivative`.
        """
        return error * self.derivative(z, a)


def make_activation(config: ModelConfig) -> Activation:
    """Return the activation function of a model's hidden layers."""
    return cast("Activation", registry.find("activation", config.activation)(config))
