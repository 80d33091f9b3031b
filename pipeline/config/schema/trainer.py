"""`trainer`: how long, where and how exactly."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.config.options import one_of
from pipeline.config.rules import require

__all__ = ["TrainerConfig"]

ACCELERATORS = ("cpu", "gpu", "auto")
PRECISIONS = ("float32", "float64", "bf16", "tf32")


@dataclass
class TrainerConfig:
    """How long, where and how exactly to train."""

    accelerator: str = "auto"
    """cpu, gpu, or auto: a GPU if there is one."""
    max_epochs: int = 5
    """Passes over the training examples, ≥ 1."""
    max_steps: int | None = None
    """Optimizer steps, ≥ 1, after which training ends, also within an epoch; null: none."""
    evaluate_every: int = 1
    """Epochs, ≥ 1, from one evaluation to the next; the last epoch is always evaluated."""
    precision: str = "float32"
    """float32, float64, bf16 or tf32: matrix products of training in bfloat16, or in a GPU's TF32,
    all else in float32."""
    deterministic: bool = False
    """Ask PyTorch for deterministic kernels on a GPU; a CPU run is deterministic anyway."""
    early_stopping: bool = False
    """Stop when val/loss has not improved for `patience` evaluations."""
    patience: int = 3
    """Evaluations without improvement that early stopping waits, ≥ 1."""
    checkpoint_every_s: float = 60.0
    """Seconds of training, > 0, after which the end of an epoch is kept, to go on from there."""
    checkpoint_every_epochs: int | None = None
    """Keep the end of every so many epochs, ≥ 1; null leaves it to the seconds."""

    def __post_init__(self) -> None:
        """Check names and ranges."""
        one_of("trainer.accelerator", self.accelerator, ACCELERATORS)
        one_of("trainer.precision", self.precision, PRECISIONS)
        require(self.max_epochs >= 1, "trainer.max_epochs", self.max_epochs, "a whole number ≥ 1")
        some = self.max_steps is None or self.max_steps >= 1
        require(some, "trainer.max_steps", self.max_steps, "a whole number ≥ 1, or null")
        require(
            self.evaluate_every >= 1,
            "trainer.evaluate_every",
            self.evaluate_every,
            "a whole number ≥ 1",
        )
        require(self.patience >= 1, "trainer.patience", self.patience, "a whole number ≥ 1")
        seconds, epochs = self.checkpoint_every_s, self.checkpoint_every_epochs
        require(seconds > 0, "trainer.checkpoint_every_s", seconds, "a number > 0")
        some = epochs is None or epochs >= 1
        require(some, "trainer.checkpoint_every_epochs", epochs, "a whole number ≥ 1, or null")

    def num_steps(self, steps_per_epoch: int) -> int:
        """Return how many optimizer steps training takes unless it stops early."""
        all_epochs = self.max_epochs * steps_per_epoch
        return all_epochs if self.max_steps is None else min(self.max_steps, all_epochs)

    def num_epochs(self, steps_per_epoch: int) -> int:
        """Return how many epochs training begins unless it stops early."""
        return -(-self.num_steps(steps_per_epoch) // steps_per_epoch)
