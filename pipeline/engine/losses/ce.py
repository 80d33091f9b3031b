"""The cross-entropy of every output."""

from __future__ import annotations

import torch
from torch.nn import functional as F  # noqa: N812  (torch's own convention)

from pipeline.engine.losses import Logits, Loss, Losses, Targets, Wanted, is_target, smoothed

__all__ = ["Ce"]


class Ce(Loss):
    """-[y ln a + (1 - y) ln(1 - a)] of every output; summed, Nielsen's equation 63.

    With `loss.label_smoothing` > 0 the targets y are smoothed.
    """

    def value(self, logits: Logits, targets: Targets) -> Losses:
        """Return the terms of every example, combined."""
        if self.output == "softmax":
            log_a, log_not_a = _log_softmax_both_ways(logits)
        else:
            log_a, log_not_a = F.logsigmoid(logits), F.logsigmoid(-logits)
        if self.config.label_smoothing == 0:
            return self.reduce(-torch.where(is_target(logits, targets), log_a, log_not_a))
        y = smoothed(logits, targets, self.config.label_smoothing)
        return self.reduce(-(y * log_a + (1 - y) * log_not_a))

    def error(self, logits: Logits, targets: Targets) -> Logits:
        """Return δ^L = a - y for sigmoid outputs; with the softmax, outputs push each other too."""
        y = smoothed(logits, targets, self.config.label_smoothing)
        delta = logits.sigmoid().sub_(y) if self.output == "sigmoid" else _softmax_error(logits, y)
        return delta.mul_(self.share(logits))


def _softmax_error(logits: Logits, y: Wanted) -> Logits:
    """Return δ^L for softmax outputs.

    With h = a ∇_a C = (1 - y) a/(1 - a) - y, δ_j = h_j - a_j Σ_k h_k = a_j - y_j - a_j Σ_(k≠j) h_k.
    Only one a can be above 1/2; its odds a/(1 - a) may overflow, so they are multiplied by a_j as
    logarithms.
    """
    not_y = 1 - y
    log_a, log_not_a = _log_softmax_both_ways(logits)
    log_odds = log_a - log_not_a
    is_large = log_odds > 0
    h = log_odds.masked_fill(is_large, -torch.inf).exp_().mul_(not_y).sub_(y)
    large_log_odds = log_odds.masked_fill_(~is_large, -torch.inf).amax(1, keepdim=True)
    pushed = (log_a + large_log_odds).exp_().masked_fill_(is_large, 0)
    pushed.mul_((not_y * is_large).sum(1, keepdim=True))
    a = log_a.exp_()
    others = h.sum(1, keepdim=True) - h
    return (a - y).sub_(a * others).sub_(pushed)


def _log_softmax_both_ways(logits: Logits) -> tuple[Logits, Logits]:
    """Return ln a and ln(1 - a) for a = softmax(z).

    1 - a cancels where a is near 1, which only the largest a can be; there it is the sum of the
    others, so ln(1 - a) is the log-sum-exp of the other logits less that of all.
    """
    log_a = logits.log_softmax(1)
    largest = logits.argmax(1, keepdim=True)
    is_largest = torch.zeros_like(logits, dtype=torch.bool).scatter_(1, largest, value=True)
    others = log_a.masked_fill(is_largest, -torch.inf)
    log_not_largest = others.logsumexp(1, keepdim=True)
    log_not_others = torch.log1p(-others.exp())
    return log_a, torch.where(is_largest, log_not_largest, log_not_others)
