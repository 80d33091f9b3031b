"""`attack`: how the test examples are perturbed."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.config.options import one_of
from pipeline.config.registry import names
from pipeline.config.rules import either, require, require_unset

__all__ = ["AttackConfig"]


@dataclass
class AttackConfig:
    """How test examples are perturbed for the metrics test/adversarial_…; others never are."""

    name: str = "none"
    """none, or a module of pipeline/engine/attacks."""
    epsilon: float | None = None
    """Any attack, 0 ≤ ε ≤ 1: the most by which an input changes; inputs lie in [0, 1]."""

    def __post_init__(self) -> None:
        """Check the name and the range."""
        known = sorted(("none", *names("attack")))
        one_of("attack.name", self.name, known)
        if self.name == "none":
            remedy = f"Choose attack={either(known)}."
            require_unset("attack.epsilon", self.epsilon, "attack=none", remedy)
        else:
            in_range = self.epsilon is not None and 0 <= self.epsilon <= 1
            allowed = "a number from 0 to 1, the range of the inputs"
            require(in_range, "attack.epsilon", self.epsilon, allowed, "Try 0.25.")
