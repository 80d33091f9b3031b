"""Backpropagation in matrix form, for K networks at once.

The four equations of the textbook (Nielsen, chapter 2; the problem set's Problem 2), with one
example per column as the book has it, one network ("member") along the leading axis, and the
diagonal matrix Σ'(z) applied as the elementwise product that it is:

    BP1  δ^L = Σ'(z^L) ∇_a C
    BP2  δ^l = Σ'(z^l) (W^(l+1))ᵀ δ^(l+1)
    BP3  ∂C/∂b^l = δ^l, summed over the batch
    BP4  ∂C/∂W^l = δ^l (a^(l-1))ᵀ

An example's errors are those of its own C; the mean over the batch comes in with the step (or
the gradient). Members that see the same examples share the first layer's two
products, which are nearly all of the work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from pipeline.config.schema import LossConfig
from pipeline.engine.losses import log_softmax_both_ways, make_loss
from pipeline.engine.network import ACTIVATIONS
from pipeline.engine.products import times_transposed

__all__ = [
    "DERIVATIVES",
    "OUTPUT_ERRORS",
    "Forward",
    "Sharing",
    "add_gradient",
    "errors",
    "forward",
    "output_error",
]

Weights = Float[Tensor, "members _out _in"]
Biases = Float[Tensor, "members _out"]

DERIVATIVES: dict[str, Callable[[Tensor, Tensor], Tensor] | None] = {
    "sigmoid": lambda _, a: a * (1 - a),
    "tanh": lambda _, a: 1 - a.square(),
    "relu": lambda z, _: (z > 0).to(z.dtype),
    "identity": None,
}
"""σ'(z), the diagonal of Σ'(z), as a function of (z, a = σ(z)); None where it is 1 throughout."""


Block = tuple[slice, slice]
"""Input matrices, as many members for each, and those members."""

MAX_MERGED = 2_500_000
"""Multiplications of one matrix's product up to which a CPU is quicker at a batched product; with
more of them, one product after the other keeps all its cores busy."""


class Sharing:
    """Which members read which of several input matrices.

    Members are in order: the first `counts[0]` of them read the first matrix, and so on.
    """

    def __init__(self, counts: Sequence[int]) -> None:
        """Say how many members read each matrix."""
        self._counts = list(counts)
        self._blocks: dict[int, list[Block]] = {}

    def blocks(self, weights: Float[Tensor, "members out in"], batch: int) -> list[Block]:
        """Return which products are made, of neighbouring matrices as one where that is quicker.

        Args:
            weights: of the layer.
            batch: examples per matrix.
        """
        multiplications = weights[0].numel() * batch
        most = len(weights) if weights.is_cuda else MAX_MERGED // multiplications
        if most not in self._blocks:
            self._blocks[most] = self._find_blocks(most)
        return self._blocks[most]

    def _find_blocks(self, most: int) -> list[Block]:
        """Merge neighbouring matrices with the same number of members, if it is `most` at most."""
        blocks: list[Block] = []
        matrix = member = 0
        for count, run in groupby(self._counts):
            num_matrices = len(list(run))
            merged = num_matrices if count <= most else 1
            for _ in range(num_matrices // merged):
                block = slice(matrix, matrix + merged), slice(member, member + merged * count)
                blocks.append(block)
                matrix, member = block[0].stop, block[1].stop
        return blocks

    def weighted_inputs(
        self,
        weights: Float[Tensor, "members out in"],
        biases: Float[Tensor, "members out"],
        inputs: Float[Tensor, "matrices batch in"],
    ) -> Float[Tensor, "members out batch"]:
        """Return z^1 = W^1 x + b^1 of every member: one product per block."""
        members, out, _ = weights.shape
        products = [
            _times_transposed(weights[part], inputs[matrices])
            for matrices, part in self.blocks(weights, inputs.shape[1])
        ]
        z = products[0] if len(products) == 1 else torch.cat(products)
        return z.view(members, out, -1).add_(biases.unsqueeze(-1))

    def add_gradient(
        self,
        target: Float[Tensor, "members out in"],
        delta: Float[Tensor, "members out batch"],
        inputs: Float[Tensor, "matrices batch in"],
        *,
        accumulate: bool,
    ) -> None:
        """Write BP4 of the first layer, δ xᵀ, into target, or add it to target.

        Added with δ scaled by -η, it is a step of gradient descent.

        Args:
            target: changed in place.
            delta: δ^1.
            inputs: as in `weighted_inputs`.
            accumulate: add to what stands in target.
        """
        for matrices, part in self.blocks(target, inputs.shape[1]):
            product = _times_transposed(delta[part], inputs[matrices].mT)
            if accumulate:
                target[part].add_(product)
            else:
                target[part].copy_(product)


def _times_transposed(
    rows: Float[Tensor, "members out inner"], matrices: Float[Tensor, "matrices other inner"]
) -> Float[Tensor, "members out other"]:
    """Return rows · matrixᵀ of every member; each matrix is that of as many members in turn."""
    members, out, inner = rows.shape
    if len(matrices) == 1:
        product = times_transposed(rows.flatten(0, 1), matrices[0])
    else:
        product = rows.reshape(len(matrices), -1, inner) @ matrices.mT
    return product.view(members, out, -1)


@dataclass
class Forward:
    """What the forward pass leaves for the backward pass."""

    logits: Float[Tensor, "members classes batch"]
    """z^L, after dropout if the logits are dropped."""
    weighted: list[Float[Tensor, "members _units batch"]]
    """z^l of the hidden layers."""
    activations: list[Float[Tensor, "members _units batch"]]
    """a^l = σ(z^l) of the hidden layers, before dropout."""
    units: list[Float[Tensor, "members _units batch"]]
    """The same after dropout: what the next layer reads."""


def forward(
    weights: Sequence[Weights],
    biases: Sequence[Biases],
    inputs: Float[Tensor, "matrices batch features"],
    sharing: Sharing,
    activation: str,
    masks: Mapping[int, Float[Tensor, "members _units batch"]],
) -> Forward:
    """Compute z^l = W^l a^(l-1) + b^l and a^l = σ(z^l), layer by layer, for every member.

    Args:
        weights: layer by layer.
        biases: layer by layer.
        inputs: one or more matrices of the same number of examples, one example per row; inputs
            that are dropped are matrices of their own.
        sharing: which members read which matrix.
        activation: of the hidden layers.
        masks: dropout factors by layer, from 1; the last layer's act on the logits.
    """
    weighted: list[Tensor] = []
    activations: list[Tensor] = []
    units: list[Tensor] = []
    function = ACTIVATIONS[activation]
    for layer, (matrix, bias) in enumerate(zip(weights, biases, strict=True), start=1):
        if layer == 1:
            z = sharing.weighted_inputs(matrix, bias, inputs)
        else:
            z = torch.baddbmm(bias.unsqueeze(-1), matrix, units[-1])
        weighted.append(z)
        if layer < len(weights):
            activations.append(function(z))
            units.append(_dropped(activations[-1], masks.get(layer)))
    return Forward(_dropped(weighted.pop(), masks.get(len(weights))), weighted, activations, units)


def _dropped(units: Tensor, mask: Tensor | None) -> Tensor:
    return units if mask is None else units * mask


def errors(
    delta: Float[Tensor, "members classes batch"],
    done: Forward,
    weights: Sequence[Weights],
    activation: str,
    masks: Mapping[int, Float[Tensor, "members _units batch"]],
) -> Iterator[tuple[int, Float[Tensor, "members _units batch"]]]:
    """Carry δ^L back through the layers by BP2.

    Each error is carried on before it is given out: whoever gets (l, δ^l) may change W^l at once.

    Args:
        delta: the error at the logits as the loss sees them (BP1).
        done: of the forward pass.
        weights: as in the forward pass, like the next two.
        activation: see `forward`.
        masks: see `forward`.

    Yields:
        (l, δ^l) from the last layer to the first, numbered from 1.
    """
    derivative = DERIVATIVES[activation]
    if len(weights) in masks:
        delta = delta * masks[len(weights)]
    for layer in range(len(weights), 1, -1):
        below = weights[layer - 1].mT @ delta
        if layer - 1 in masks:
            below = below * masks[layer - 1]
        if derivative is not None:
            below = below * derivative(done.weighted[layer - 2], done.activations[layer - 2])
        yield layer, delta
        delta = below
    yield 1, delta


def add_gradient(
    target: Weights,
    delta: Float[Tensor, "members units batch"],
    layer: int,
    done: Forward,
    inputs: Float[Tensor, "matrices batch features"],
    sharing: Sharing,
    *,
    accumulate: bool,
) -> None:
    """Write BP4, δ^l (a^(l-1))ᵀ, into target, or add it to target.

    Args:
        target: changed in place: a place for the gradient, or the weights themselves.
        delta: δ^l.
        layer: l, from 1.
        done: of the forward pass.
        inputs: as in the forward pass.
        sharing: as in the forward pass.
        accumulate: see `Sharing.add_gradient`.
    """
    if layer == 1:
        sharing.add_gradient(target, delta, inputs, accumulate=accumulate)
    else:
        torch.baddbmm(target, delta, done.units[layer - 2].mT, beta=float(accumulate), out=target)


def output_error(
    loss: LossConfig,
    output: str,
    logits: Float[Tensor, "members classes batch"],
    is_target: Bool[Tensor, "#members classes batch"],
) -> Float[Tensor, "members classes batch"]:
    """Return BP1, δ^L of every example: the derivative of its loss by its logits.

    By hand for the losses of OUTPUT_ERRORS. Any other is differentiated automatically, at the
    logits only: they are few.

    Args:
        loss: which loss, and how it combines the outputs of an example.
        output: "softmax" or "sigmoid".
        logits: z^L.
        is_target: y, one-hot: the right class of every example, for each member or for all.
    """
    by_hand = OUTPUT_ERRORS.get(loss.name)
    if by_hand is not None:
        scale = 1 / logits.shape[1] if loss.reduction == "mean" else 1.0
        return by_hand(logits, is_target, output, scale)
    with torch.enable_grad():
        leaf = logits.detach().requires_grad_()
        targets = is_target.int().argmax(1).expand(len(logits), -1)
        losses = make_loss(loss, output)(leaf.mT, targets)
        (gradient,) = torch.autograd.grad(losses.sum(), leaf)
    return gradient


ErrorFunction = Callable[
    [
        Float[Tensor, "members classes batch"],
        Bool[Tensor, "#members classes batch"],
        str,
        float,
    ],
    Float[Tensor, "members classes batch"],
]
"""(z^L, one-hot targets, output function, weight of each output) → δ^L."""


def _nll(logits: Tensor, is_target: Tensor, output: str, scale: float) -> Tensor:
    """δ^L = a - y, since the softmax's Σ' and the logarithm cancel."""
    del output, scale
    return logits.softmax(1).sub_(is_target.to(logits.dtype))


def _mse(logits: Tensor, is_target: Tensor, output: str, scale: float) -> Tensor:
    """With ∇_a C = 2(a - y) for each output."""
    return _through_outputs(logits, is_target, output, 2 * scale)


def _quadratic(logits: Tensor, is_target: Tensor, output: str, scale: float) -> Tensor:
    """With ∇_a C = a - y for each output."""
    return _through_outputs(logits, is_target, output, scale)


def _through_outputs(logits: Tensor, is_target: Tensor, output: str, scale: float) -> Tensor:
    """Apply Σ' to ∇_a C = scale (a - y); for the softmax it isn't diagonal: diag(a) - a aᵀ."""
    if output == "sigmoid":
        a = logits.sigmoid()
        return (a - is_target.to(a.dtype)).mul_(scale).mul_(a).mul_(1 - a)
    a = logits.softmax(1)
    weighted = (a - is_target.to(a.dtype)).mul_(scale).mul_(a)
    return weighted.sub_(a.mul_(weighted.sum(1, keepdim=True)))


def _ce(logits: Tensor, is_target: Tensor, output: str, scale: float) -> Tensor:
    """δ^L = a - y for sigmoid outputs; with the softmax, outputs push each other as well.

    With h = a ∇_a C, which is -1 for the right class and a/(1 - a) for the others,
    δ_j = h_j - a_j Σ_k h_k = a_j - y_j - a_j Σ_(k≠j) h_k. Only one a can be above 1/2; its odds
    a/(1 - a) may overflow, so they are multiplied by a_j as logarithms.
    """
    difference = -is_target.to(logits.dtype)
    if output == "sigmoid":
        return difference.add(logits.sigmoid()).mul_(scale)
    log_a, log_not_a = log_softmax_both_ways(logits, dim=1)
    log_odds = log_a - log_not_a
    is_large = (log_odds > 0) & ~is_target
    odds = log_odds.masked_fill(is_large, -torch.inf).exp_().masked_fill_(is_target, -1)
    large_log_odds = log_odds.masked_fill_(~is_large, -torch.inf).amax(1, keepdim=True)
    pushed = (log_a + large_log_odds).exp_().masked_fill_(is_large, 0)
    a = log_a.exp_()
    others = odds.sum(1, keepdim=True) - odds
    return difference.add(a).sub_(a * others).sub_(pushed).mul_(scale)


OUTPUT_ERRORS: dict[str, ErrorFunction] = {
    "nll": _nll,
    "mse": _mse,
    "quadratic": _quadratic,
    "ce": _ce,
}
