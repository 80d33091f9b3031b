"""A network without hidden layers, trained by the functions of `pipeline.engine.backprop`.

Its outputs are a softmax and its cost the log-likelihood, which is convex. It starts from zeros.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pipeline.config.schema import LossConfig
from pipeline.data.tensors import Split
from pipeline.engine.backprop import Forward, Sharing, add_gradient, forward, output_error
from pipeline.engine.losses import make_loss

__all__ = ["Rows", "SoftmaxLayer"]

Rows = Int[Tensor, " batch"] | slice
"""The examples of a mini-batch."""

NLL = LossConfig("nll")
ALONE = Sharing([1])


class SoftmaxLayer:
    """The network and the examples it learns from."""

    def __init__(self, examples: Split, num_classes: int) -> None:
        self.inputs, self.labels = examples.inputs, examples.labels
        self.is_target = (self.labels == torch.arange(num_classes).unsqueeze(1)).unsqueeze(0)
        self.weights = self.inputs.new_zeros(1, num_classes, self.inputs.shape[1])
        self.biases = self.inputs.new_zeros(1, num_classes)

    def step(self, rows: Rows, rate: float) -> None:
        """Take one step of gradient descent."""
        inputs, done, delta = self._mean_errors(rows)
        delta.mul_(-rate)
        self.biases.add_(delta.sum(-1))
        add_gradient(self.weights, delta, 1, done, inputs, ALONE, accumulate=True)

    def gradient(self, rows: Rows) -> Float[Tensor, " parameters"]:
        """Return the gradient of the mean loss, by the weights and biases in one vector."""
        inputs, done, delta = self._mean_errors(rows)
        by_weights = torch.empty_like(self.weights)
        add_gradient(by_weights, delta, 1, done, inputs, ALONE, accumulate=False)
        return torch.cat([by_weights.flatten(), delta.sum(-1).flatten()])

    def loss(self) -> float:
        """Return the mean loss of all examples."""
        done = self._forward(self.inputs.unsqueeze(0))
        return make_loss(NLL, "softmax")(done.logits[0].mT, self.labels).mean().item()

    def _mean_errors(
        self, rows: Rows
    ) -> tuple[Float[Tensor, "1 batch features"], Forward, Float[Tensor, "1 classes batch"]]:
        """Return the inputs, the forward pass and the errors, for the mean over the batch."""
        inputs = self.inputs[rows].unsqueeze(0)
        done = self._forward(inputs)
        delta = output_error(NLL, "softmax", done.logits, self.is_target[:, :, rows])
        return inputs, done, delta.div_(inputs.shape[1])

    def _forward(self, inputs: Float[Tensor, "1 batch features"]) -> Forward:
        return forward([self.weights], [self.biases], inputs, ALONE, "identity", {})
