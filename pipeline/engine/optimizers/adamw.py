"""Adaptive moments, with weight decay apart from them."""

from __future__ import annotations

from pipeline.engine.optimizers import Tensors
from pipeline.engine.optimizers.adam import Adam

__all__ = ["AdamW"]


class AdamW(Adam):
    """Adam whose weight decay acts on θ, not on g (Loshchilov and Hutter, 2019)."""

    def decay(self, gradients: Tensors) -> None:
        """Apply the weight decay, θ ← (1 - η · weight_decay) θ."""
        del gradients
        if self.weight_decay is None:
            return
        for parameter, lr, decay in zip(self.parameters, self.lr, self.weight_decay, strict=True):
            parameter.mul_(1 - lr * decay)
