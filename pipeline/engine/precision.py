"""In what numbers a group computes: `trainer.precision`."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import torch

from pipeline.config.schema import TrainerConfig

__all__ = ["parameter_dtype", "product_dtype", "products_of_training"]


def parameter_dtype(config: TrainerConfig) -> torch.dtype:
    """Return the type of weights, of the optimizer's memory, of losses and of all evaluation."""
    return torch.float64 if config.precision == "float64" else torch.float32


def product_dtype(config: TrainerConfig) -> torch.dtype:
    """Return the type of what is multiplied as matrices in a training step."""
    return torch.bfloat16 if config.precision == "bf16" else parameter_dtype(config)


@contextmanager
def products_of_training(config: TrainerConfig) -> Generator[None]:
    """Let a GPU multiply float32 matrices in TF32 in this block, if that is the precision."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if config.precision == "tf32" else before)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
