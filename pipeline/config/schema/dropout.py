"""`dropout`: which units are dropped."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.config.options import one_of
from pipeline.config.rules import either, require_p_keep, require_unset

__all__ = ["DROPOUTS", "PHASES", "DropoutConfig"]

DROPOUTS = ("none", "input", "hidden", "both", "logits")
PHASES = ("train", "test", "always")


@dataclass
class DropoutConfig:
    """Inverted dropout: a unit is kept with probability p_keep and then divided by p_keep."""

    name: str = "none"
    """Which units are dropped: none, input, hidden, both (of these) or logits."""
    p_keep: float | None = None
    """0 < p_keep ≤ 1, for input, hidden and logits."""
    p_keep_input: float | None = None
    """The same for the inputs, when both are dropped."""
    p_keep_hidden: float | None = None
    """The same for the hidden units, when both are dropped."""
    phase: str = "train"
    """When units are dropped: train (the ordinary way), test (only at evaluation), always."""

    def __post_init__(self) -> None:
        """Check names and ranges."""
        one_of("dropout.name", self.name, DROPOUTS)
        one_of("dropout.phase", self.phase, PHASES)
        owner = f"dropout={self.name}"
        if self.name == "none":
            remedy = f"Choose dropout={either(DROPOUTS)}."
            require_unset("dropout.p_keep", self.p_keep, owner, remedy)
        elif self.name == "both":
            remedy = "It has dropout.p_keep_input and dropout.p_keep_hidden."
            require_unset("dropout.p_keep", self.p_keep, owner, remedy)
            require_p_keep("dropout.p_keep_input", self.p_keep_input)
            require_p_keep("dropout.p_keep_hidden", self.p_keep_hidden)
        else:
            require_p_keep("dropout.p_keep", self.p_keep)
        if self.name != "both":
            remedy = "Choose dropout=both, or set dropout.p_keep."
            require_unset("dropout.p_keep_input", self.p_keep_input, owner, remedy)
            require_unset("dropout.p_keep_hidden", self.p_keep_hidden, owner, remedy)
