"""Automatic differentiation of one piece, where no derivative is written beside it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["gradient"]


def gradient(
    function: Callable[[Tensor], Tensor], at: Float[Tensor, "*shape"]
) -> Float[Tensor, "*shape"]:
    """Return the derivative of the sum of a function's values, by its argument.

    Args:
        function: made of torch's operations.
        at: the argument; autograd's graph of it, if it has one, is left alone.
    """
    with torch.enable_grad():
        leaf = at.detach().requires_grad_()
        total = function(leaf).sum()
    if not total.requires_grad:  # it doesn't depend on the argument
        return torch.zeros_like(at)
    return torch.autograd.grad(total, leaf)[0]
