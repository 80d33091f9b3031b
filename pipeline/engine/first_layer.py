"""The inputs, and the first layer's products, which are nearly all of a group's work.

Members that see the same examples read the same matrix of inputs: their weights, one below the
other, are multiplied by it at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["Readers", "SharedInputs", "times_transposed"]

MAX_MERGED = 2_500_000
"""Multiplications of one matrix's product up to which a CPU is quicker at a batched product; with
more of them, one product after the other keeps all its cores busy."""

FEW_MULTIPLICATIONS = 300_000
"""How many one product may have for MKL to be quicker: oneDNN takes 10 μs to look up what to do."""

MKL_ADDS_UP_TO = 16
"""Examples of a mini-batch up to which MKL, which adds a product to what is there in one go, is
quicker than oneDNN, after which it has to be added."""

Linear = Callable[[Tensor, Tensor, Tensor | None, str, list[object], str], Tensor]


def _find_onednn() -> Linear | None:
    """Return oneDNN's a bᵀ, which torch otherwise keeps for compiled code, if there is one."""
    operators: Any = torch.ops.mkldnn
    if torch.backends.mkldnn.is_available() and hasattr(operators, "_linear_pointwise"):
        return operators._linear_pointwise.default  # noqa: SLF001
    return None


_onednn = _find_onednn()


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
        _, out, inner = weights.shape
        multiplications = out * inner * batch
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
        products = self.readers.products(weights, self.matrices.shape[1])
        if len(products) == 1:
            return _times_transposed(weights, self.matrices).to(weights.dtype)
        return torch.cat(
            [_times_transposed(weights[it.members], self.matrices[it.matrices]) for it in products]
        ).to(weights.dtype)

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
        products = self.readers.products(target, self.matrices.shape[1])
        if len(products) == 1:
            _add_product(target, error, self.matrices, accumulate=accumulate)
            return
        for it in products:
            parts = target[it.members], error[it.members], self.matrices[it.matrices]
            _add_product(*parts, accumulate=accumulate)

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


def _add_product(
    target: Float[Tensor, "members out features"],
    error: Float[Tensor, "members out batch"],
    matrices: Float[Tensor, "matrices batch features"],
    *,
    accumulate: bool,
) -> None:
    """Write error · matrix of every member into target, or add it."""
    is_small = matrices.shape[1] <= MKL_ADDS_UP_TO and matrices.dtype == target.dtype
    if accumulate and len(matrices) == 1 and is_small and target.is_contiguous():
        target.flatten(0, 1).addmm_(error.flatten(0, 1), matrices[0])
        return
    found = _times_transposed(error, matrices.mT)
    if accumulate:
        target.add_(found)
    else:
        target.copy_(found)


def times_transposed(
    a: Float[Tensor, "rows inner"], b: Float[Tensor, "columns inner"]
) -> Float[Tensor, "rows columns"]:
    """Return a bᵀ.

    In float32 on a CPU by oneDNN: on AMD's processors it is twice as quick as the MKL behind
    `torch.mm` (benchmarks/fused.py), but for small ones.
    """
    if (
        _onednn is not None
        and a.is_cpu
        and a.dtype == torch.float32
        and a.numel() * len(b) > FEW_MULTIPLICATIONS
    ):
        return _onednn(a, b, None, "none", [], "")
    return a @ b.T
