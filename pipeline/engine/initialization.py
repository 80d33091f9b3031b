"""How the weights start."""

from __future__ import annotations

import math
from typing import cast

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from pipeline.config.schema import ModelConfig

__all__ = ["draw_weights_and_biases", "standard_deviations"]


def draw_weights_and_biases(
    config: ModelConfig, fan_in: int, fan_out: int, generator: Generator
) -> tuple[Float[Tensor, "out in"], Float[Tensor, " out"]]:
    """Draw a layer's weights and biases, in float64.

    uniform: both between ±1/√fan_in, as torch.nn.Linear has them; orthogonal: a matrix whose rows,
    or columns if they are fewer, are orthonormal, as torch.nn.init.orthogonal_ has it (Saxe et al.,
    2014), and biases 0; the others as `standard_deviations` says.

    Args:
        config: says which.
        fan_in: inputs of each unit.
        fan_out: units.
        generator: all draws come from it.
    """
    if config.init == "uniform":
        weights = torch.rand(fan_out, fan_in, generator=generator, dtype=torch.float64)
        biases = torch.rand(fan_out, generator=generator, dtype=torch.float64)
        bound = 1 / math.sqrt(fan_in)
        return (2 * weights - 1) * bound, (2 * biases - 1) * bound
    weights = torch.randn(fan_out, fan_in, generator=generator, dtype=torch.float64)
    biases = torch.randn(fan_out, generator=generator, dtype=torch.float64)
    if config.init == "orthogonal":
        return _orthonormal(weights), torch.zeros_like(biases)
    weight_std, bias_std = standard_deviations(config, fan_in, fan_out)
    return weights * weight_std, biases * bias_std


def _orthonormal(normal: Float[Tensor, "out in"]) -> Float[Tensor, "out in"]:
    """Return Q of the QR decomposition, R's diagonal being positive; of the transpose if wide."""
    is_wide = normal.shape[0] < normal.shape[1]
    q, r = cast("tuple[Tensor, Tensor]", torch.linalg.qr(normal.T if is_wide else normal))
    q = q * r.diagonal().sign()
    return q.T if is_wide else q


def standard_deviations(config: ModelConfig, fan_in: int, fan_out: int) -> tuple[float, float]:
    """Return the standard deviations of weights and biases that are normal around 0.

    normal: `init_std` for both; scaled_normal: the same with that of the weights divided by √fan_in
    (Nielsen, chapter 3); xavier: √(2 / (fan_in + fan_out)) for the weights (Glorot and Bengio,
    2010), he: √(2 / fan_in) (He et al., 2015), both with biases 0; zeros: 0 for both.

    Args:
        config: says which.
        fan_in: inputs of each unit.
        fan_out: units.
    """
    std = config.init_std
    return {
        "normal": (std, std),
        "scaled_normal": (std / math.sqrt(fan_in), std),
        "xavier": (math.sqrt(2 / (fan_in + fan_out)), 0.0),
        "he": (math.sqrt(2 / fan_in), 0.0),
        "zeros": (0.0, 0.0),
    }[config.init]
