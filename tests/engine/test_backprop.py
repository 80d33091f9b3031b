"""BP1-BP4 for many networks at once against automatic differentiation, and the shared products."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from pipeline.config.schema import LossConfig
from pipeline.engine.backprop import (
    OUTPUT_ERRORS,
    Sharing,
    add_gradient,
    errors,
    forward,
    output_error,
)
from pipeline.engine.losses import LOSSES, make_loss
from pipeline.engine.network import ACTIVATIONS
from pipeline.engine.products import times_transposed

BATCH, FEATURES, CLASSES = 7, 5, 4

LOSS_CASES = [
    (LossConfig(name, reduction), output)
    for name, reduction, output in itertools.product(
        sorted(LOSSES), ["mean", "sum"], ["softmax", "sigmoid"]
    )
    if name != "nll" or (reduction, output) == ("mean", "softmax")
]


def case_id(case: tuple[LossConfig, str]) -> str:
    loss, output = case
    return f"{loss.name}-{loss.reduction}-{output}"


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def one_hot(targets: Tensor) -> Tensor:
    """(members, batch) to (members, classes, batch)."""
    return targets.unsqueeze(1) == torch.arange(CLASSES).view(1, -1, 1)


def mean_losses(loss: LossConfig, output: str, logits: Tensor, targets: Tensor) -> Tensor:
    """The mean over the batch for each member; logits are (members, classes, batch)."""
    return make_loss(loss, output)(logits.mT, targets.expand(len(logits), -1)).mean(1)


@pytest.mark.parametrize("case", LOSS_CASES, ids=case_id)
def test_bp1_is_the_derivative_of_the_loss_by_the_logits(case: tuple[LossConfig, str]):
    loss, output = case
    logits = random(3, CLASSES, BATCH).mul(3).requires_grad_()
    targets = torch.tensor([[0, 1, 2, 3, 0, 1, 2]])
    (expected,) = torch.autograd.grad(mean_losses(loss, output, logits, targets).sum(), logits)
    found = output_error(loss, output, logits.detach(), one_hot(targets)) / BATCH
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("case", LOSS_CASES, ids=case_id)
def test_bp1_is_finite_for_huge_logits(case: tuple[LossConfig, str]):
    loss, output = case
    logits = torch.tensor([[[1e4, -1e4], [-1e4, 1e4], [0, 0], [0, 0]]])
    found = output_error(loss, output, logits, one_hot(torch.tensor([[0, 0]])))
    assert found.isfinite().all()


def test_a_new_loss_needs_no_derivative_by_hand(monkeypatch: pytest.MonkeyPatch):
    logits, is_target = random(2, CLASSES, 7), one_hot(torch.zeros(1, 7).long())
    by_hand = output_error(LossConfig("mse"), "softmax", logits, is_target)
    monkeypatch.delitem(OUTPUT_ERRORS, "mse")
    differentiated = output_error(LossConfig("mse"), "softmax", logits, is_target)
    torch.testing.assert_close(differentiated, by_hand, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
@pytest.mark.parametrize("hidden", [[], [6], [6, 3]], ids=str)
@pytest.mark.parametrize("case", LOSS_CASES, ids=case_id)
def test_all_gradients_equal_those_of_automatic_differentiation(
    case: tuple[LossConfig, str], hidden: list[int], activation: str
):
    """Five members on two input matrices, units dropped in every layer."""
    loss, output = case
    sharing = Sharing([2, 3])
    inputs = random(2, BATCH, FEATURES)
    sizes = [FEATURES, *hidden, CLASSES]
    weights = [random(5, out, fan_in, seed=out) for fan_in, out in itertools.pairwise(sizes)]
    biases = [random(5, out, seed=out + 1) for out in sizes[1:]]
    masks = {
        layer: (random(5, out, BATCH, seed=layer) < 0.7).double() / 0.7
        for layer, out in enumerate(sizes[1:], start=1)
    }
    targets = torch.tensor([[0, 1, 2, 3, 0, 1, 2]])

    done = forward(weights, biases, inputs, sharing, activation, masks)
    delta = output_error(loss, output, done.logits, one_hot(targets)) / BATCH
    gradients = [torch.empty_like(w) for w in weights], [torch.empty_like(b) for b in biases]
    for layer, error in errors(delta, done, weights, activation, masks):
        add_gradient(gradients[0][layer - 1], error, layer, done, inputs, sharing, accumulate=False)
        gradients[1][layer - 1].copy_(error.sum(-1))

    leaves = [parameter.requires_grad_() for parameter in (*weights, *biases)]
    units = torch.stack([inputs[0], inputs[0], *[inputs[1]] * 3]).mT
    for layer, (matrix, bias) in enumerate(zip(weights, biases, strict=True), start=1):
        z = matrix @ units + bias.unsqueeze(-1)
        units = (z if layer == len(weights) else ACTIVATIONS[activation](z)) * masks[layer]
    total = mean_losses(loss, output, units, targets).sum()
    expected = torch.autograd.grad(total, leaves)
    for found, wanted in zip(itertools.chain(*gradients), expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("max_merged", [0, 10**9])
@pytest.mark.parametrize("counts", [[6], [3, 3], [1] * 6, [1, 3, 2], [2, 2, 1, 1]], ids=str)
def test_shared_products_are_those_of_each_member(
    counts: list[int], max_merged: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("pipeline.engine.backprop.MAX_MERGED", max_merged)
    sharing = Sharing(counts)
    inputs = random(len(counts), BATCH, FEATURES)
    own = inputs.repeat_interleave(torch.tensor(counts), dim=0)
    weights, delta = random(6, 3, FEATURES), random(6, 3, BATCH)
    biases = random(6, 3, seed=1)
    expected = weights @ own.mT + biases.unsqueeze(-1)
    torch.testing.assert_close(sharing.weighted_inputs(weights, biases, inputs), expected)
    gradient = torch.full((6, 3, FEATURES), torch.nan, dtype=torch.float64)
    sharing.add_gradient(gradient, delta, inputs, accumulate=False)
    torch.testing.assert_close(gradient, delta @ own)
    sharing.add_gradient(gradient, delta, inputs, accumulate=True)
    torch.testing.assert_close(gradient, 2 * delta @ own)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_products_are_right_however_the_matrices_lie_in_memory(dtype: torch.dtype):
    a, b = random(30, 50).to(dtype), random(20, 50, seed=1).to(dtype)
    expected = a @ b.T
    for left in (a, a.T.contiguous().T):
        for right in (b, b.T.contiguous().T):
            torch.testing.assert_close(times_transposed(left, right), expected)


def test_the_whole_chain_passes_gradcheck():
    """C as a function of the weights, differentiated numerically, against BP1-BP4."""
    inputs, targets = random(1, BATCH, FEATURES), torch.tensor([[0, 1, 2, 3, 0, 1, 2]])
    biases = [random(2, 3), random(2, CLASSES)]
    loss = LossConfig("ce")

    class Cost(torch.autograd.Function):
        @staticmethod
        def forward(ctx, first: Tensor, second: Tensor) -> Tensor:
            ctx.save_for_backward(first, second)
            done = forward([first, second], biases, inputs, Sharing([2]), "tanh", {})
            return mean_losses(loss, "softmax", done.logits, targets).sum()

        @staticmethod
        def backward(ctx, upstream: Tensor) -> tuple[Tensor, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]  (as torch documents it)
            weights = list(ctx.saved_tensors)
            done = forward(weights, biases, inputs, Sharing([2]), "tanh", {})
            delta = output_error(loss, "softmax", done.logits, one_hot(targets)) / BATCH
            found = [torch.empty_like(matrix) for matrix in weights]
            for layer, error in errors(delta, done, weights, "tanh", {}):
                add_gradient(
                    found[layer - 1], error, layer, done, inputs, Sharing([2]), accumulate=False
                )
            return tuple(upstream * gradient for gradient in found)

    weights = [random(2, 3, FEATURES).requires_grad_(), random(2, CLASSES, 3).requires_grad_()]
    assert torch.autograd.gradcheck(Cost.apply, weights)
