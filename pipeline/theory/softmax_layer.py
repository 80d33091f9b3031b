"""A network without hidden layers, trained step by step by the code that trains.

Its outputs are a softmax and its cost the log-likelihood, which is convex. It starts from zeros.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pipeline.data.tensors import Split
from pipeline.theory.one_network import Loss, Pass, Units

__all__ = ["Rows", "SoftmaxLayer"]

Rows = Int[Tensor, " batch"] | slice
"""The examples of a mini-batch."""

NLL = Loss("nll", "softmax")


class SoftmaxLayer:
    """The network and the examples it learns from."""

    def __init__(self, examples: Split, num_classes: int) -> None:
        self.inputs, self.labels = examples.inputs, examples.labels
        self.weights = self.inputs.new_zeros(1, num_classes, self.inputs.shape[1])
        self.biases = self.inputs.new_zeros(1, num_classes)

    def step(self, rows: Rows, rate: float) -> None:
        """Take one step of gradient descent."""
        batch, delta = self._mean_errors(rows)
        delta.mul_(-rate)
        self.biases.add_(delta.sum(-1))
        batch.add_weight_gradient(self.weights, 1, delta)

    def gradient(self, rows: Rows) -> Float[Tensor, " parameters"]:
        """Return the gradient of the mean loss, by the weights and biases in one vector."""
        batch, delta = self._mean_errors(rows)
        return torch.cat([batch.weight_gradient(1, delta).flatten(), delta.sum(-1).flatten()])

    def loss(self) -> float:
        """Return the mean loss of all examples."""
        return NLL.value(self._forward(slice(None)).logits, self.labels.unsqueeze(0)).mean().item()

    def _mean_errors(self, rows: Rows) -> tuple[Pass, Units]:
        """Return the forward pass of a mini-batch, and the errors of its mean loss."""
        batch = self._forward(rows)
        delta = NLL.error(batch.logits, self.labels[rows].unsqueeze(0))
        return batch, delta.div_(delta.shape[-1])

    def _forward(self, rows: Rows) -> Pass:
        return Pass([self.weights], [self.biases], self.inputs[rows].unsqueeze(0))
