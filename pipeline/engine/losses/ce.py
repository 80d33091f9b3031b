"""The cross-entropy of every output."""

from __future__ import annotations

import torch
from torch.nn import functional as F  # noqa: N812  (torch's own convention)

from pipeline.engine.losses import Logits, Loss, Losses, OneHot, Targets, is_target

__all__ = ["Ce"]


class Ce(Loss):
    """-[y ln a + (1 - y) ln(1 - a)] of every output; summed, Nielsen's equation 63."""

    def value(self, logits: Logits, targets: Targets) -> Losses:
        """Return the terms of every example, combined."""
        if self.output == "softmax":
            log_a, log_not_a = _log_softmax_both_ways(logits)
        else:
            log_a, log_not_a = F.logsigmoid(logits), F.logsigmoid(-logits)
        return self.reduce(-torch.where(is_target(logits, targets), log_a, log_not_a))

    def error(self, logits: Logits, targets: Targets) -> Logits:
        """Return δ^L = a - y for sigmoid outputs; with the softmax, outputs push each other too."""
        y = is_target(logits, targets)
        if self.output == "sigmoid":
            delta = logits.sigmoid().sub_(y.to(logits.dtype))
        else:
            delta = _softmax_error(logits, y)
        return delta.mul_(self.share(logits))


def _softmax_error(logits: Logits, y: OneHot) -> Logits:
    """Return δ^L for softmax outputs.

    With h = a ∇_a C, which is -1 for the right class and a/(1 - a) for the others,
    δ_j = h_j - a_j Σ_k h_k = a_j - y_j - a_j Σ_(k≠j) h_k. Only one a can be above 1/2; its odds
    a/(1 - a) may overflow, so they are multiplied by a_j as logarithms.
    """
    log_a, log_not_a = _log_softmax_both_ways(logits)
    log_odds = log_a - log_not_a
    is_large = (log_odds > 0) & ~y
    odds = log_odds.masked_fill(is_large, -torch.inf).exp_().masked_fill_(y, -1)
    large_log_odds = log_odds.masked_fill_(~is_large, -torch.inf).amax(1, keepdim=True)
    pushed = (log_a + large_log_odds).exp_().masked_fill_(is_large, 0)
    a = log_a.exp_()
    others = odds.sum(1, keepdim=True) - odds
    return (a - y.to(a.dtype)).sub_(a * others).sub_(pushed)


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
