"""The network: a^l = σ(W^l a^(l-1) + b^l), and the ways to start its weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn
from torch.nn import functional as F  # noqa: N812  (torch's own convention)

from pipeline.engine.dropout import Dropout

__all__ = ["ACTIVATIONS", "Network", "Parameters", "initial_parameters"]

Parameters = list[tuple[Float[Tensor, "_out _in"], Float[Tensor, " _out"]]]
"""Weights and biases, layer by layer."""

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "identity": lambda z: z,
}


def initial_parameters(
    sizes: Sequence[int],
    *,
    init: str,
    std: float,
    generator: Generator,
    dtype: torch.dtype = torch.float32,
) -> Parameters:
    """Draw the weights and biases of every layer.

    Numbers are drawn in float64 and then rounded, so a run starts from the same weights in
    either precision.

    Args:
        sizes: units per layer, inputs first, classes last.
        init: "normal": weights and biases ~ N(0, std²); "scaled_normal": the same with the
            weights divided by √inputs (Nielsen, chapter 3); "xavier": weights ~ N(0, 2/(in + out))
            (Glorot and Bengio, 2010), "he": weights ~ N(0, 2/in) (He et al., 2015), both with
            biases 0; "zeros".
        std: standard deviation of the two normal ones; the others have their own.
        generator: the stream to draw from.
        dtype: of the result.

    Returns:
        One (weights, biases) pair per layer.
    """
    parameters: Parameters = []
    for fan_in, fan_out in pairwise(sizes):
        weights = torch.randn(fan_out, fan_in, generator=generator, dtype=torch.float64)
        biases = torch.randn(fan_out, generator=generator, dtype=torch.float64)
        weight_std, bias_std = _spreads(init, std, fan_in, fan_out)
        parameters.append(((weights * weight_std).to(dtype), (biases * bias_std).to(dtype)))
    return parameters


def _spreads(init: str, std: float, fan_in: int, fan_out: int) -> tuple[float, float]:
    """Return the standard deviations of a layer's weights and biases."""
    if init in ("normal", "scaled_normal"):
        return (std if init == "normal" else std / math.sqrt(fan_in)), std
    if init == "xavier":
        return math.sqrt(2 / (fan_in + fan_out)), 0.0
    if init == "he":
        return math.sqrt(2 / fan_in), 0.0
    assert init == "zeros", init
    return 0.0, 0.0


class Network(nn.Module):
    """A fully connected network that returns logits z^L; the losses apply the output function."""

    def __init__(self, parameters: Parameters, activation: str) -> None:
        super().__init__()
        self.weights = nn.ParameterList(weights for weights, _ in parameters)
        self.biases = nn.ParameterList(biases for _, biases in parameters)
        self.activation = ACTIVATIONS[activation]
        self._layers = tuple(zip(self.weights, self.biases, strict=True))

    def forward(
        self, inputs: Float[Tensor, "batch features"], dropout: Dropout | None = None
    ) -> Float[Tensor, "batch classes"]:
        """Return the logits of a batch, with units dropped where `dropout` says so."""
        units = dropout(0, inputs) if dropout else inputs
        last = len(self._layers)
        for layer, (weights, biases) in enumerate(self._layers, start=1):
            weighted = F.linear(units, weights, biases)
            units = weighted if layer == last else self.activation(weighted)
            if dropout:
                units = dropout(layer, units)
        return units
