"""The log-likelihood cost."""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (torch's own convention)

from pipeline.engine.losses import Loss, is_target

__all__ = ["Nll"]


class Nll(Loss):
    """-ln a of the right class, for softmax outputs (Nielsen's equation 80)."""

    def value(
        self,
        logits: Float[Tensor, "members classes batch"],
        targets: Int[Tensor, "#members batch"],
    ) -> Float[Tensor, "members batch"]:
        """Return -ln a of every example's right class."""
        assert self.output == "softmax", self.output
        return F.cross_entropy(logits, targets.expand(len(logits), -1), reduction="none")

    def error(
        self,
        logits: Float[Tensor, "members classes batch"],
        targets: Int[Tensor, "#members batch"],
    ) -> Float[Tensor, "members classes batch"]:
        """Return δ^L = a - y, since the softmax's Σ' and the logarithm cancel."""
        return logits.softmax(1).sub_(is_target(logits, targets).to(logits.dtype))
