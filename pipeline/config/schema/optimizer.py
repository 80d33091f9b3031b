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
    """Learning rate η > 0; see also `schedule`."""
    momentum: float | None = None
    """momentum, nesterov and rmsprop only, 0 ≤ momentum < 1."""
    betas: list[float] | None = None
    """adam and adamw only: decay of the two moments, each 0 ≤ β < 1."""
    eps: float | None = None
    """adam, adamw and rmsprop only: added to the root of the second moment, > 0."""
    weight_decay: float = 0.0
    """≥ 0; acts on weights and biases, as in torch.optim; a regularizer leaves biases alone."""
    alpha: float | None = None
    """rmsprop only, 0 ≤ α < 1: decay of the mean square."""
    clip_norm: float | None = None
    """The largest norm, > 0, of a step's gradient over all weights and biases, the regularizer's
    included; a longer one is shortened to it. null: it may be as long as it is."""

    def __post_init__(self) -> None:
        """Check names and ranges."""
        one_of("optimizer.name", self.name, names("optimizer"))
        largest = LARGEST_LR.get(self.name, LARGEST)
        allowed = f"a number > 0 and ≤ {largest:g}"
        in_range = 0 < self.lr <= largest
        require(in_range, "optimizer.lr", self.lr, allowed, "Try optimizer.lr=0.1.")
        in_range = 0 <= self.weight_decay <= LARGEST
        allowed = f"a number ≥ 0 and ≤ {LARGEST:g}"
        require(in_range, "optimizer.weight_decay", self.weight_decay, allowed)
        in_range = self.clip_norm is None or 0 < self.clip_norm <= LARGEST
        allowed = f"a number > 0 and ≤ {LARGEST:g}, or null"
        require(in_range, "optimizer.clip_norm", self.clip_norm, allowed, "Try 1.")
        self._check_momentum()
        self._check_betas()
        self._check_alpha()
        self._check_eps()

    def _check_momentum(self) -> None:
        if self.name in ("momentum", "nesterov", "rmsprop"):
            in_range = self.momentum is not None and 0 <= self.momentum < 1
            allowed = "a number, 0 ≤ momentum < 1"
            require(in_range, "optimizer.momentum", self.momentum, allowed, "The usual one is 0.9.")
        else:
            remedy = "Choose optimizer=momentum, nesterov or rmsprop."
            owner = f"optimizer={self.name}"
            require_unset("optimizer.momentum", self.momentum, owner, remedy)

    def _check_betas(self) -> None:
        if self.name in ("adam", "adamw"):
            betas = self.betas or []
            in_range = len(betas) == 2 and all(0 <= beta < 1 for beta in betas)
            remedy = f"optimizer={self.name} brings the usual one."
            require(in_range, "optimizer.betas", self.betas, "two numbers, each 0 ≤ β < 1", remedy)
        else:
            remedy = "Choose optimizer=adam or adamw."
            require_unset("optimizer.betas", self.betas, f"optimizer={self.name}", remedy)

    def _check_alpha(self) -> None:
        if self.name == "rmsprop":
            in_range = self.alpha is not None and 0 <= self.alpha < 1
            allowed = "a number, 0 ≤ α < 1"
            require(in_range, "optimizer.alpha", self.alpha, allowed, "The usual one is 0.99.")
        else:
            remedy = "Choose optimizer=rmsprop."
            require_unset("optimizer.alpha", self.alpha, f"optimizer={self.name}", remedy)

    def _check_eps(self) -> None:
        if self.name in ("adam", "adamw", "rmsprop"):
            positive = self.eps is not None and math.isfinite(self.eps) and self.eps > 0
            remedy = f"optimizer={self.name} brings the usual one."
            require(positive, "optimizer.eps", self.eps, "a finite number > 0", remedy)
        else:
            remedy = "Choose optimizer=adam, adamw or rmsprop."
            require_unset("optimizer.eps", self.eps, f"optimizer={self.name}", remedy)
