"""A network without hidden layers, trained step by step by the code that trains.

Its outputs are a softmax and its cost the log-likelihood, which is convex. It starts from zeros.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pipeline.data.tensors import Split
from pipeline.theory.one_network import Pass, Units, find_loss

__all__ = ["Rows", "SoftmaxLayer"]

Rows = Int[Tensor, "members batch"] | None
"""The examples of a mini-batch, for each member its own; None for the whole set as it lies."""

NLL = find_loss("nll", "softmax")


class SoftmaxLayer:
    """Networks, the members of a group, and the examples that all of them learn from."""

    def __init__(self, examples: Split, num_classes: int, num_members: int = 1) -> None:
        self.inputs, self.labels = examples.inputs, examples.labels
        self.weights = self.inputs.new_zeros(num_members, num_classes, self.inputs.shape[1])
        self.biases = self.inputs.new_zeros(num_members, num_classes)

    def step(self, rows: Rows, rate: float) -> None:
        """Take one step of gradient descent with every member."""
        batch, delta = self._mean_errors(rows)
        delta.mul_(-rate)
        self.biases.add_(delta.sum(-1))
        batch.add_weight_gradient(self.weights, 1, delta)

    def gradient(self, rows: Rows) -> Float[Tensor, "members parameters"]:
        """Return the gradient of the mean loss, by the weights and biases in one vector."""
        batch, delta = self._mean_errors(rows)
        weights = batch.weight_gradient(1, delta).flatten(1)
        return torch.cat([weights, delta.sum(-1)], dim=1)

    def losses(self) -> list[float]:
        """Return the mean loss of all examples, member by member."""
        logits = self.inputs @ self.weights.mT + self.biases.unsqueeze(1)
        means = NLL.value(logits.mT, self.labels.unsqueeze(0)).mean(1)
        return [mean.item() for mean in means]

    def _mean_errors(self, rows: Rows) -> tuple[Pass, Units]:
        """Return the forward pass of a mini-batch, and the errors of its mean loss."""
        inputs, labels = (
            part.unsqueeze(0) if rows is None else part[rows] for part in (self.inputs, self.labels)
        )
        batch = Pass([self.weights], [self.biases], inputs)
        delta = NLL.error(batch.logits, labels)
        return batch, delta.div_(delta.shape[-1])
