"""The network of Problem 1.2 against automatic differentiation."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from pipeline.data.tensors import Split
from pipeline.theory.batch_size.softmax_layer import Rows, SoftmaxLayer

NUM_CLASSES = 3


def layer(num_members: int = 1) -> SoftmaxLayer:
    stream = torch.Generator().manual_seed(0)
    inputs = torch.rand(20, 4, generator=stream, dtype=torch.float64)
    labels = torch.randint(NUM_CLASSES, (20,), generator=stream)
    made = SoftmaxLayer(Split(inputs, labels), NUM_CLASSES, num_members)
    made.weights.normal_(generator=stream)
    made.biases.normal_(generator=stream)
    return made


def loss_and_gradient(layer: SoftmaxLayer, rows: Tensor, member: int = 0) -> tuple[float, Tensor]:
    parameters = (layer.weights[member], layer.biases[member])
    weights, biases = (part.clone().requires_grad_() for part in parameters)
    loss = F.cross_entropy(F.linear(layer.inputs[rows], weights, biases), layer.labels[rows])
    gradients = torch.autograd.grad(loss, [weights, biases])
    return loss.item(), torch.cat([gradient.flatten() for gradient in gradients])


ALL = torch.arange(20)
ROWS = [torch.tensor([[7]]), torch.tensor([[3, 1, 12]]), None]

with_rows = pytest.mark.parametrize("rows", ROWS, ids=["one", "three", "all"])


def expected(layer: SoftmaxLayer, rows: Rows) -> Tensor:
    """The gradient of the first member, by automatic differentiation."""
    return loss_and_gradient(layer, ALL if rows is None else rows[0])[1]


@with_rows
def test_the_gradient_is_that_of_the_mean_loss(rows: Rows):
    made = layer()
    torch.testing.assert_close(made.gradient(rows)[0], expected(made, rows))


@with_rows
def test_a_step_goes_down_the_gradient(rows: Rows):
    made = layer()
    before = torch.cat([made.weights.flatten(), made.biases.flatten()])
    gradient = expected(made, rows)
    made.step(rows, 0.3)
    after = torch.cat([made.weights.flatten(), made.biases.flatten()])
    torch.testing.assert_close(after, before - 0.3 * gradient)


def test_members_learn_from_their_own_examples():
    made, rows = layer(num_members=2), torch.tensor([[3, 1], [12, 7]])
    for member, found in enumerate(made.gradient(rows)):
        torch.testing.assert_close(found, loss_and_gradient(made, rows[member], member)[1])


def test_the_losses_are_the_means_of_all_examples():
    made = layer(num_members=2)
    wanted = [loss_and_gradient(made, ALL, member)[0] for member in range(2)]
    assert made.losses() == pytest.approx(wanted)
