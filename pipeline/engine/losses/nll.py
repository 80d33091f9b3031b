"""The log-likelihood cost."""

from __future__ import annotations

from torch.nn import functional as F  # noqa: N812  (torch's own convention)

from pipeline.engine.losses import Logits, Loss, Losses, Targets, smoothed

__all__ = ["Nll"]


class Nll(Loss):
    """-ln a of the right class, for softmax outputs (Nielsen's equation 80).

    With `loss.label_smoothing` > 0 it is -Σ y ln a over smoothed targets y.
    """

    def value(self, logits: Logits, targets: Targets) -> Losses:
        """Return -Σ y ln a of every example."""
        assert self.output == "softmax", self.output
        return F.cross_entropy(
            logits,
            targets.expand(len(logits), -1),
            reduction="none",
            label_smoothing=self.config.label_smoothing,
        )

    def error(self, logits: Logits, targets: Targets) -> Logits:
        """Return δ^L = a - y, since the softmax's Σ' and the logarithm cancel."""
        return logits.softmax(1).sub_(smoothed(logits, targets, self.config.label_smoothing))
