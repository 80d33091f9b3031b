"""Matrix products of a fused group's first layer: nearly all of its work."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["times_transposed"]

Linear = Callable[[Tensor, Tensor, Tensor | None, str, list[object], str], Tensor]

_HAS_ONEDNN = torch.backends.mkldnn.is_available() and hasattr(
    torch.ops.mkldnn, "_linear_pointwise"
)


def times_transposed(
    a: Float[Tensor, "rows inner"], b: Float[Tensor, "columns inner"]
) -> Float[Tensor, "rows columns"]:
    """Return a bᵀ.

    In float32 on a CPU by oneDNN, which torch otherwise keeps for compiled code: on AMD's
    processors it is twice as quick as the MKL behind `torch.mm` (benchmarks/fused.py).
    """
    if _HAS_ONEDNN and a.dtype == torch.float32 and a.device.type == "cpu":
        linear = cast("Linear", torch.ops.mkldnn._linear_pointwise)  # noqa: SLF001
        return linear(a, b, None, "none", [], "")
    return a @ b.T
