"""In what numbers a group computes: `trainer.precision`."""

from __future__ import annotations

import torch

from pipeline.config.schema import TrainerConfig

__all__ = ["parameter_dtype", "product_dtype"]


def parameter_dtype(config: TrainerConfig) -> torch.dtype:
    """Return the type of weights, of the optimizer's memory, of losses and of all evaluation."""
    return torch.float64 if config.precision == "float64" else torch.float32


def product_dtype(config: TrainerConfig) -> torch.dtype:
    """Return the type of what is multiplied as matrices in a training step."""
    return torch.bfloat16 if config.precision == "bf16" else parameter_dtype(config)
