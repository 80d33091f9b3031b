"""`optimizer`: how a step follows from the gradients."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pipeline.config.options import one_of
from pipeline.config.registry import names
from pipeline.config.rules import LARGEST, require, require_unset

__all__ = ["OptimizerConfig"]

LARGEST_LR = {"adam": 1e30, "adamw": 1e30}
"""They divide the rate by 1 - β."""


@dataclass
class OptimizerConfig:
    """How a step follows from the gradients; the same as torch.optim's."""

    name: str = "sgd"
    """A module of pipeline/engine/optimizers."""
    lr: float = 0.5
    """Learning rate η > 0."""
    momentum: float | None = None
    """momentum and nesterov only, 0 ≤ momentum < 1."""
    betas: list[float] | None = None
    """adam and adamw only: decay of the two moments, each 0 ≤ β < 1."""
    eps: float | None = None
    """adam and adamw only: added to the root of the second moment, > 0."""
    weight_decay: float = 0.0
    """≥ 0; acts on weights and biases, as in torch.optim; a regularizer leaves biases alone."""

    def __post_init__(self) -> None:
        """Check names and ranges."""
        one_of("optimizer.name", self.name, names("optimizer"))
        largest = LARGEST_LR.get(self.name, LARGEST)
        require(
            0 < self.lr <= largest,
            "optimizer.lr",
            self.lr,
            f"a number > 0 and ≤ {largest:g}",
            "Try optimizer.lr=0.1.",
        )
        require(
            0 <= self.weight_decay <= LARGEST,
            "optimizer.weight_decay",
            self.weight_decay,
            f"a number ≥ 0 and ≤ {LARGEST:g}",
        )
        self._check_momentum()
        self._check_moments()

    def _check_momentum(self) -> None:
        if self.name in ("momentum", "nesterov"):
            in_range = self.momentum is not None and 0 <= self.momentum < 1
            allowed = "a number, 0 ≤ momentum < 1"
            require(in_range, "optimizer.momentum", self.momentum, allowed, "The usual one is 0.9.")
        else:
            remedy = "Choose optimizer=momentum or nesterov."
            owner = f"optimizer={self.name}"
            require_unset("optimizer.momentum", self.momentum, owner, remedy)

    def _check_moments(self) -> None:
        if self.name in ("adam", "adamw"):
            remedy = f"optimizer={self.name} brings the usual one."
            betas = self.betas or []
            in_range = len(betas) == 2 and all(0 <= beta < 1 for beta in betas)
            require(in_range, "optimizer.betas", self.betas, "two numbers, each 0 ≤ β < 1", remedy)
            positive = self.eps is not None and math.isfinite(self.eps) and self.eps > 0
            require(positive, "optimizer.eps", self.eps, "a finite number > 0", remedy)
        else:
            remedy = "Choose optimizer=adam or adamw."
            owner = f"optimizer={self.name}"
            require_unset("optimizer.betas", self.betas, owner, remedy)
            require_unset("optimizer.eps", self.eps, owner, remedy)
