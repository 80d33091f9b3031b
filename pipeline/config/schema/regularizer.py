"""`regularizer`: the term on the weights."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.config.options import one_of
from pipeline.config.registry import names
from pipeline.config.rules import LARGEST, either, require, require_unset

__all__ = ["RegularizerConfig"]


@dataclass
class RegularizerConfig:
    """The term on the weights, not the biases, that is added to the loss of every mini-batch."""

    name: str = "none"
    """A module of pipeline/engine/regularizers."""
    strength: float = 0.0
    """λ ≥ 0; l1 = λΣ|w|, l2 = (λ/2)Σw²."""
    l1_ratio: float | None = None
    """elastic only, in [0, 1]: the share of l1, the rest is l2."""

    def __post_init__(self) -> None:
        """Check names and ranges."""
        one_of("regularizer.name", self.name, names("regularizer"))
        require(
            0 <= self.strength <= LARGEST,
            "regularizer.strength",
            self.strength,
            f"a number ≥ 0 and ≤ {LARGEST:g}",
            "Try regularizer.strength=0.001.",
        )
        if self.name == "none":
            require(
                self.strength == 0,
                "regularizer.strength",
                self.strength,
                "0 with regularizer=none",
                f"Choose regularizer={either(names('regularizer'))}.",
            )
        if self.name == "elastic":
            in_range = self.l1_ratio is not None and 0 <= self.l1_ratio <= 1
            require(in_range, "regularizer.l1_ratio", self.l1_ratio, "a number from 0 to 1")
        else:
            remedy = "Choose regularizer=elastic, or leave the key out."
            owner = f"regularizer={self.name}"
            require_unset("regularizer.l1_ratio", self.l1_ratio, owner, remedy)
