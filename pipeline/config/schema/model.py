"""`model`: layers and how they start."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from pipeline.config.options import one_of
from pipeline.config.registry import names
from pipeline.config.rules import require

__all__ = ["INITS", "OUTPUTS", "ModelConfig"]

OUTPUTS = ("softmax", "sigmoid")
INITS = ("normal", "scaled_normal", "zeros", "xavier", "he", "orthogonal", "uniform")


@dataclass
class ModelConfig:
    """A fully connected network."""

    hidden: list[int] = field(default_factory=list[int])
    """Units of each hidden layer; [] for none."""
    activation: str = "sigmoid"
    """Activation function of the hidden layers, a module of pipeline/engine/activations."""
    output: str = "softmax"
    """Output function: softmax or sigmoid."""
    init: str = "normal"
    """normal and scaled_normal (its weights divided by √inputs) draw weights and biases;
    xavier, he and orthogonal draw weights and leave biases 0; zeros draws nothing; uniform draws
    both between ±1 / √inputs, as torch.nn.Linear does."""
    init_std: float = 0.1
    """Standard deviation, > 0, of normal and scaled_normal; the others have their own."""

    def __post_init__(self) -> None:
        """Check names and ranges."""
        all_positive = all(units > 0 for units in self.hidden)
        require(
            all_positive,
            "model.hidden",
            self.hidden,
            "a list of whole numbers > 0",
            "Say model.hidden=[30], or model.hidden=[] for no hidden layer.",
        )
        one_of("model.activation", self.activation, names("activation"))
        one_of("model.output", self.output, OUTPUTS)
        one_of("model.init", self.init, INITS)
        positive = math.isfinite(self.init_std) and self.init_std > 0
        require(positive, "model.init_std", self.init_std, "a finite number > 0", "Try 0.1.")
