"""BP1-BP4 for many networks at once against automatic and numerical differentiation."""

from __future__ import annotations

import itertools
from typing import cast

import pytest
import torch
from torch import Tensor

from pipeline.config.schema import LossConfig, ModelConfig
from pipeline.engine.activations import make_activation
from pipeline.engine.first_layer import Readers, SharedInputs
from pipeline.engine.losses import make_loss
from pipeline.engine.network import Masks, Network, make_layers

BATCH, FEATURES, CLASSES = 7, 5, 4
TARGETS = torch.tensor([[0, 1, 2, 3, 0, 1, 2]])


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def make_network(hidden: list[int], activation: str) -> Network:
    config = ModelConfig(hidden, activation)
    return Network(make_layers(config, FEATURES, CLASSES), make_activation(config))


def random_parameters(sizes: list[int]) -> list[list[Tensor]]:
    """Of five members; the first size is that of the inputs."""
    return [
        [random(5, out, fan_in, seed=out), random(5, out, seed=out + 1)]
        for fan_in, out in itertools.pairwise(sizes)
    ]


def all_masks(sizes: list[int]) -> dict[int, Tensor]:
    """Of five members; units of every layer are dropped."""
    return {
        layer: (random(5, out, BATCH, seed=layer) < 0.7).double() / 0.7
        for layer, out in enumerate(sizes[1:], start=1)
    }


def gradients(
    network: Network,
    parameters: list[list[Tensor]],
    inputs: SharedInputs,
    masks: Masks,
    loss: LossConfig,
) -> list[list[Tensor]]:
    """By BP1-BP4, of the mean loss of every member."""
    done = network.forward(parameters, inputs, masks)
    delta = make_loss(loss, "softmax").error(done.logits, TARGETS) / BATCH
    found = [[torch.full_like(tensor, torch.nan) for tensor in layer] for layer in parameters]
    for number, error in network.errors(delta, done, parameters, masks):
        targets = found[number - 1]
        network.add_gradients(number, targets, error, done, parameters, accumulate=False)
    return found


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu", "identity"])
@pytest.mark.parametrize("hidden", [[], [6], [6, 3]], ids=str)
def test_all_gradients_equal_those_of_automatic_differentiation(hidden: list[int], activation: str):
    """Five members on two input matrices, units dropped in every layer."""
    network, loss = make_network(hidden, activation), LossConfig("ce")
    inputs = SharedInputs(random(2, BATCH, FEATURES), Readers([2, 3]))
    sizes = [FEATURES, *hidden, CLASSES]
    parameters = random_parameters(sizes)
    masks = all_masks(sizes)
    found = gradients(network, parameters, inputs, masks, loss)
    leaves = [tensor.requires_grad_() for layer in parameters for tensor in layer]
    logits = network.forward(parameters, inputs, masks).logits
    total = make_loss(loss, "softmax").value(logits, TARGETS).mean(1).sum()
    expected = torch.autograd.grad(total, leaves)
    for gradient, wanted in zip(itertools.chain(*found), expected, strict=True):
        torch.testing.assert_close(gradient, wanted, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu", "identity"])
@pytest.mark.parametrize("hidden", [[], [6], [6, 3]], ids=str)
@pytest.mark.parametrize("loss", ["nll", "ce", "mse"])
def test_so_do_those_of_the_inputs(loss: str, hidden: list[int], activation: str):
    """As far as to the sign: what an attack moves the inputs by."""
    network, sizes = make_network(hidden, activation), [FEATURES, *hidden, CLASSES]
    own, parameters = random(5, BATCH, FEATURES), random_parameters(sizes)
    inputs, masks = SharedInputs(own, Readers([1] * 5)), all_masks(sizes)
    done = network.forward(parameters, inputs, masks)
    delta = make_loss(LossConfig(loss), "softmax").error(done.logits, TARGETS)
    *_, (_, error) = network.errors(delta, done, parameters, masks)
    found = network.layers[0].backward(parameters[0], cast("Tensor", inputs), error).mT
    leaf = SharedInputs(own.requires_grad_(), Readers([1] * 5))
    logits = network.forward(parameters, leaf, masks).logits
    total = make_loss(LossConfig(loss), "softmax").value(logits, TARGETS).sum()
    (expected,) = torch.autograd.grad(total, own)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-14)
    assert torch.equal(found.sign(), expected.sign())
    assert found.any()


def test_logits_of_a_small_network_by_hand():
    network = make_network([3], "relu")
    w1, b1 = random(1, 3, FEATURES), random(1, 3, seed=1)
    w2, b2 = random(1, CLASSES, 3, seed=2), random(1, CLASSES, seed=3)
    inputs = random(1, 1, FEATURES, seed=4)
    x = inputs[0, 0].tolist()

    def layer(weights: Tensor, biases: Tensor, units: list[float]) -> list[float]:
        rows = zip(weights[0].tolist(), biases[0].tolist(), strict=True)
        return [sum(w * u for w, u in zip(row, units, strict=True)) + b for row, b in rows]

    expected = layer(w2, b2, [max(z, 0.0) for z in layer(w1, b1, x)])
    done = network.forward([[w1, b1], [w2, b2]], SharedInputs(inputs, Readers([1])), {})
    assert done.logits[0, :, 0].tolist() == pytest.approx(expected, rel=1e-12)


def test_the_whole_chain_passes_gradcheck():
    """C as a function of the weights, differentiated numerically, against BP1-BP4."""
    network, loss = make_network([3], "tanh"), LossConfig("ce")
    inputs = SharedInputs(random(1, BATCH, FEATURES), Readers([2]))
    biases = [random(2, 3), random(2, CLASSES)]

    def parameters(first: Tensor, second: Tensor) -> list[list[Tensor]]:
        return [[first, biases[0]], [second, biases[1]]]

    class Cost(torch.autograd.Function):
        @staticmethod
        def forward(ctx, first: Tensor, second: Tensor) -> Tensor:
            ctx.save_for_backward(first, second)
            logits = network.forward(parameters(first, second), inputs, {}).logits
            return make_loss(loss, "softmax").value(logits, TARGETS).mean(1).sum()

        @staticmethod
        def backward(ctx, upstream: Tensor) -> tuple[Tensor, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]  (as torch documents it)
            found = gradients(network, parameters(*ctx.saved_tensors), inputs, {}, loss)
            return tuple(upstream * layer[0] for layer in found)

    weights = [random(2, 3, FEATURES).requires_grad_(), random(2, CLASSES, 3).requires_grad_()]
    assert torch.autograd.gradcheck(Cost.apply, weights)
