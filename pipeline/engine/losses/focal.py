"""The log-likelihood cost, less of it where the answer is nearly right."""

from __future__ import annotations

import torch

from pipeline.config.schema import LossConfig
from pipeline.engine.losses import Logits, Loss, Losses, Targets, is_target

__all__ = ["Focal"]


class Focal(Loss):
    """-(1 - p)^γ ln p, p being the right class's softmax output (Lin et al., 2017, equation 4).

    γ is `loss.gamma`; 0 is nll.
    """

    def __init__(self, config: LossConfig, output: str) -> None:
        """Take γ, ≥ 0, from the config."""
        super().__init__(config, output)
        assert config.gamma is not None
        self.gamma = config.gamma

    def value(self, logits: Logits, targets: Targets) -> Losses:
        """Return -(1 - p)^γ ln p of every example."""
        log_p = _of_right_class(logits.log_softmax(1), targets)
        return -log_p * (-log_p.expm1()) ** self.gamma

    def error(self, logits: Logits, targets: Targets) -> Logits:
        """Return δ^L = (a - y) (1 - p)^γ (1 - γ p ln p / (1 - p)).

        ln p / (1 - p) is -1 at p = 1.
        """
        log_a = logits.log_softmax(1)
        log_p = _of_right_class(log_a, targets)
        not_p = -log_p.expm1()
        ratio = torch.where(not_p > 0, log_p / not_p, -1)
        factor = not_p**self.gamma * (1 - self.gamma * log_p.exp() * ratio)
        delta = log_a.exp_().sub_(is_target(logits, targets).to(logits.dtype))
        return delta.mul_(factor.unsqueeze(1))


def _of_right_class(log_a: Logits, targets: Targets) -> Losses:
    """Return ln a of every example's right class."""
    return log_a.gather(1, targets.expand(len(log_a), -1).unsqueeze(1)).squeeze(1)
