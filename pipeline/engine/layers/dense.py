"""The fully connected layer."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from pipeline.config.schema import ModelConfig
from pipeline.engine.first_layer import SharedInputs
from pipeline.engine.initialization import draw_weights_and_biases
from pipeline.engine.layers import Layer, Tensors, Units

__all__ = ["Dense"]


class Dense(Layer):
    """z = W u + b of every example u."""

    reads_shared_inputs = True

    def __init__(self, num_inputs: int, num_units: int) -> None:
        self.num_inputs = num_inputs
        self.num_units = num_units

    def initial_parameters(
        self, config: ModelConfig, generator: Generator
    ) -> list[Float[Tensor, "*shape"]]:
        """Draw W (out, in), then b (out); see `draw_weights_and_biases`."""
        drawn = draw_weights_and_biases(config, self.num_inputs, self.num_units, generator)
        return list(drawn)

    def forward(self, parameters: Tensors, units: SharedInputs | Units) -> Units:
        """Return W u + b."""
        weight, bias = parameters
        if isinstance(units, SharedInputs):
            return units.weighted_by(weight).add_(bias.unsqueeze(-1))
        if units.dtype == weight.dtype:
            return torch.baddbmm(bias.unsqueeze(-1), weight, units)
        return (weight.to(units.dtype) @ units).to(weight.dtype).add_(bias.unsqueeze(-1))

    def backward(self, parameters: Tensors, units: SharedInputs | Units, error: Units) -> Units:
        """Return Wᵀ δ (BP2); of shared inputs ∂C/∂x, which lies in memory as they do."""
        weight, _ = parameters
        if isinstance(units, SharedInputs):
            dtype = units.matrices.dtype
            return (error.to(dtype).mT @ weight.to(dtype)).to(error.dtype).mT
        return (weight.to(units.dtype).mT @ error.to(units.dtype)).to(error.dtype)

    def add_gradients(
        self,
        targets: Tensors,
        parameters: Tensors,
        units: SharedInputs | Units,
        error: Units,
        *,
        accumulate: bool,
    ) -> None:
        """Write, or add, δ uᵀ for W (BP4) and the sum of δ over the batch for b (BP3)."""
        del parameters
        weight, bias = targets
        if accumulate:
            bias.add_(error.sum(-1))
        else:
            torch.sum(error, dim=-1, out=bias)
        if isinstance(units, SharedInputs):
            units.add_gradient(weight, error, accumulate=accumulate)
        elif units.dtype == weight.dtype:
            torch.baddbmm(weight, error, units.mT, beta=float(accumulate), out=weight)
        elif accumulate:
            weight.add_(error.to(units.dtype) @ units.mT)
        else:
            weight.copy_(error.to(units.dtype) @ units.mT)
