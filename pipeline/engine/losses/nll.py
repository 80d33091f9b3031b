"""The log-likelihood cost."""

from __future__ import annotations

from torch.nn import functional as F  # noqa: N812  (torch's own convention)

from pipeline.engine.losses import Logits, Loss, Losses, Targets, is_target

__all__ = ["Nll"]


class Nll(Loss):
    """-ln a of the right class, for softmax outputs (Nielsen's equation 80)."""

    def value(self, logits: Logits, targets: Targets) -> Losses:
        """Return -ln a of every example's right class."""
        assert self.output == "softmax", self.output
        return F.cross_entropy(logits, targets.expand(len(logits), -1), reduction="none")

    def error(self, logits: Logits, targets: Targets) -> Logits:
        """Return δ^L = a - y, since the softmax's Σ' and the logarithm cancel."""
        return logits.softmax(1).sub_(is_target(logits, targets).to(logits.dtype))
