"""How the weights start."""

from __future__ import annotations

import math

from pipeline.config.schema import ModelConfig

__all__ = ["standard_deviations"]


def standard_deviations(config: ModelConfig, fan_in: int, fan_out: int) -> tuple[float, float]:
    """Return the standard deviations of a layer's weights and biases, both normal around 0.

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
