"""The network of Problem 1.2 against automatic differentiation."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from pipeline.data.tensors import Split
from pipeline.theory.softmax_layer import Rows, SoftmaxLayer

NUM_CLASSES = 3


def layer() -> SoftmaxLayer:
    stream = torch.Generator().manual_seed(0)
    inputs = torch.rand(20, 4, generator=stream, dtype=torch.float64)
    labels = torch.randint(NUM_CLASSES, (20,), generator=stream)
    made = SoftmaxLayer(Split(inputs, labels), NUM_CLASSES)
    made.weights.normal_(generator=stream)
    made.biases.normal_(generator=stream)
    return made


def loss_and_gradient(layer: SoftmaxLayer, rows: Rows) -> tuple[float, Tensor]:
    weights, biases = (part[0].clone().requires_grad_() for part in (layer.weights, layer.biases))
    loss = F.cross_entropy(F.linear(layer.inputs[rows], weights, biases), layer.labels[rows])
    gradients = torch.autograd.grad(loss, [weights, biases])
    return loss.item(), torch.cat([gradient.flatten() for gradient in gradients])


ROWS = [torch.tensor([7]), torch.tensor([3, 1, 12]), slice(None)]


@pytest.mark.parametrize("rows", ROWS, ids=["one", "three", "all"])
def test_the_gradient_is_that_of_the_mean_loss(rows: Rows):
    made = layer()
    torch.testing.assert_close(made.gradient(rows), loss_and_gradient(made, rows)[1])


@pytest.mark.parametrize("rows", ROWS, ids=["one", "three", "all"])
def test_a_step_goes_down_the_gradient(rows: Rows):
    made = layer()
    before = torch.cat([made.weights.flatten(), made.biases.flatten()])
    gradient = made.gradient(rows)
    made.step(rows, 0.3)
    after = torch.cat([made.weights.flatten(), made.biases.flatten()])
    torch.testing.assert_close(after, before - 0.3 * gradient)


def test_the_loss_is_the_mean_of_all_examples():
    made = layer()
    assert made.loss() == pytest.approx(loss_and_gradient(made, slice(None))[0])
