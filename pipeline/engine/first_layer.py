"""The inputs, and the first layer's products, which are nearly all of a group's work.

Members that see the same examples read the same matrix of inputs: their weights, one below the
other, are multiplied by it at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["Readers", "SharedInputs", "times_transposed"]

MAX_MERGED = 2_500_000
"""Multiplications of one matrix's product up to which a CPU is quicker at a batched product; with
more of them, one product after the other keeps all its cores busy."""

Linear = Callable[[Tensor, Tensor, Tensor | None, str, list[object], str], Tensor]

_HAS_ONEDNN = torch.backends.mkldnn.is_available() and hasattr(
    torch.ops.mkldnn, "_linear_pointwise"
)


@dataclass(frozen=True)
class Product:
    """Neighbouring matrices, as many members for each, and those members: one batched product."""

    matrices: slice
    members: slice


class Readers:
    """How many members read each matrix of inputs.

    Members are in order: the first `counts[0]` of them read the first matrix, and so on.
    """

    def __init__(self, counts: Sequence[int]) -> None:
        """Say how many members read each matrix."""
        self.counts = list(counts)
        self._products: dict[int, list[Product]] = {}

    def products(self, weights: Float[Tensor, "members out in"], batch: int) -> Sequence[Product]:
        """Return the products to make, of neighbouring matrices as one where that is quicker.

        Args:
            weights: of the first layer.
            batch: examples per matrix.
        """
        multiplications = weights[0].numel() * batch
        most = len(weights) if weights.is_cuda else MAX_MERGED // multiplications
        if most not in self._products:
            self._products[most] = self._plan(most)
        return self._products[most]

    def _plan(self, most: int) -> list[Product]:
        """Merge neighbouring matrices with the same number of members, if it is `most` at most."""
        products: list[Product] = []
        matrix = member = 0
        for count, run in groupby(self.counts):
            num_matrices = len(list(run))
            merged = num_matrices if count <= most else 1
            for _ in range(num_matrices // merged):
                matrices = slice(matrix, matrix + merged)
                products.append(Product(matrices, slice(member, member + merged * count)))
                matrix, member = matrix + merged, member + merged * count
        return products


@dataclass(frozen=True)
class SharedInputs:
    """The inputs of a batch: matrices with one example per row, each read by several members."""

    matrices: Float[Tensor, "matrices batch features"]
    readers: Readers

    def weighted_by(
        self, weights: Float[Tensor, "members out features"]
    ) -> Float[Tensor, "members out batch"]:
        """Return W x of every member and example."""
        members, out, _ = weights.shape
        products = [
            _times_transposed(weights[product.members], self.matrices[product.matrices])
            for product in self.readers.products(weights, self.matrices.shape[1])
        ]
        z = products[0] if len(products) == 1 else torch.cat(products)
        return z.view(members, out, -1).to(weights.dtype)

    def add_gradient(
        self,
        target: Float[Tensor, "members out features"],
        error: Float[Tensor, "members out batch"],
        *,
        accumulate: bool,
    ) -> None:
        """Write δ xᵀ of every member into target (BP4), or add it.

        Args:
            target: changed in place.
            error: δ^1.
            accumulate: add to what stands in target.
        """
        for product in self.readers.products(target, self.matrices.shape[1]):
            part = target[product.members]
            found = _times_transposed(error[product.members], self.matrices[product.matrices].mT)
            if accumulate:
                part.add_(found)
            else:
                part.copy_(found)

    def of_every_member(self) -> Float[Tensor, "members features batch"]:
        """Return every member's own inputs, one example per column."""
        counts = torch.tensor(self.readers.counts, device=self.matrices.device)
        return self.matrices.repeat_interleave(counts, dim=0).mT


def _times_transposed(
    rows: Float[Tensor, "members out inner"], matrices: Float[Tensor, "matrices other inner"]
) -> Float[Tensor, "members out other"]:
    """Return rows · matrixᵀ of every member; each matrix is that of as many members in turn.

    The product is made in the precision of the matrices.
    """
    members, out, inner = rows.shape
    rows = rows.to(matrices.dtype)
    if len(matrices) == 1:
        product = times_transposed(rows.flatten(0, 1), matrices[0])
    else:
        product = rows.reshape(len(matrices), -1, inner) @ matrices.mT
    return product.view(members, out, -1)


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
