"""Layers of K networks at once: initial parameters, forward, backward.

To add one: a module here with its class, and its place in `pipeline.engine.network.make_layers`.
Whoever writes no backward gets it by automatic differentiation of that layer alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from pipeline.config.schema import ModelConfig

__all__ = ["Layer", "Tensors", "Units"]

Tensors = Sequence[Float[Tensor, "members ..."]]
"""A layer's parameters, or what there is for each of them."""
Units = Float[Tensor, "members _units batch"]
"""A number for each unit; examples lie side by side."""


class Layer(ABC):
    """One layer of every member; what it reads and gives has one example per column."""

    parameter_names: tuple[str, ...] = ("weight", "bias")
    """In the order in which parameters are handed over. Regularizers act on "weight" alone."""

    reads_shared_inputs = False
    """Whether all methods take SharedInputs as they are, when the layer is the first one."""

    num_units: int
    """Length of an example's column after this layer."""

    @abstractmethod
    def initial_parameters(
        self, config: ModelConfig, generator: Generator
    ) -> list[Float[Tensor, "*shape"]]:
        """Draw one member's parameters, in float64, so that every precision starts alike.

        Args:
            config: of the member's model.
            generator: the member's stream for all layers, the first layer first.
        """

    @abstractmethod
    def forward(self, parameters: Tensors, units: Units) -> Units:
        """Return the weighted inputs z of this layer, before any activation function.

        Args:
            parameters: of every member.
            units: what the layer reads.
        """

    def backward(self, parameters: Tensors, units: Units, error: Units) -> Units:
        """Return ∂C/∂units from ∂C/∂z (the matrix product of BP2).

        Args:
            parameters: as in `forward`, like the next one.
            units: see `forward`.
            error: ∂C/∂z.
        """
        return self._differentiate(parameters, units, error)[-1]

    def add_gradients(
        self,
        targets: Tensors,
        parameters: Tensors,
        units: Units,
        error: Units,
        *,
        accumulate: bool,
    ) -> None:
        """Write the gradients of the parameters into targets, or add them to what stands there.

        The targets may be the parameters themselves: with an error that was scaled by -η, adding
        is a step of gradient descent.

        Args:
            targets: changed in place.
            parameters: as in `forward`, like the next one.
            units: see `forward`.
            error: ∂C/∂z.
            accumulate: add.
        """
        gradients = self._differentiate(parameters, units, error)[:-1]
        for target, gradient in zip(targets, gradients, strict=True):
            if accumulate:
                target.add_(gradient)
            else:
                target.copy_(gradient)

    def _differentiate(
        self, parameters: Sequence[Tensor], units: Tensor, error: Tensor
    ) -> tuple[Tensor, ...]:
        """Return the gradients of the parameters and then of the units."""
        with torch.enable_grad():
            leaves = [tensor.detach().requires_grad_() for tensor in (*parameters, units)]
            z = self.forward(leaves[:-1], leaves[-1])
            return torch.autograd.grad(z, leaves, error, materialize_grads=True)
