"""All keys of one run, and the rules that tie keys of different groups together."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from pipeline.config.rules import require
from pipeline.config.schema.attack import AttackConfig
from pipeline.config.schema.data import DataConfig
from pipeline.config.schema.dropout import DropoutConfig
from pipeline.config.schema.loss import NEED_SOFTMAX, LossConfig
from pipeline.config.schema.model import ModelConfig
from pipeline.config.schema.optimizer import OptimizerConfig
from pipeline.config.schema.regularizer import RegularizerConfig
from pipeline.config.schema.resume import ResumeConfig
from pipeline.config.schema.schedule import ScheduleConfig
from pipeline.config.schema.tracking import TrackingConfig
from pipeline.config.schema.trainer import TrainerConfig
from pipeline.errors import UserError

__all__ = ["Config"]


@dataclass
class Config:
    """One run. The order of the fields is the order in which people read them."""

    seed: int = 0
    """≥ 0; initial weights, order of the examples and dropout draws all come from it."""
    loss: LossConfig = field(default_factory=LossConfig)
    regularizer: RegularizerConfig = field(default_factory=RegularizerConfig)
    dropout: DropoutConfig = field(default_factory=DropoutConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    attack: AttackConfig = field(default_factory=AttackConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    resume: ResumeConfig = field(default_factory=ResumeConfig)
    dry_run: bool = False
    """Say what would run, and stop."""
    root: str = ""
    """The project's root: mlflow.db, mlruns/ and data/ lie in it."""

    @property
    def divided_data(self) -> DataConfig:
        """The data, with this run's seed in place of a split_seed that is left open."""
        if self.data.split_seed is not None:
            return self.data
        return replace(self.data, split_seed=self.seed)

    def __post_init__(self) -> None:
        """Check the rules that tie keys of different groups together."""
        require(0 <= self.seed < 2**63, "seed", self.seed, "a whole number ≥ 0")
        require(
            self.schedule.warmup_epochs < self.trainer.max_epochs,
            "schedule.warmup_epochs",
            self.schedule.warmup_epochs,
            f"less than trainer.max_epochs={self.trainer.max_epochs}",
        )
        if self.loss.name in NEED_SOFTMAX and self.model.output != "softmax":
            raise UserError(
                f"loss={self.loss.name} with model.output={self.model.output}: "
                f"{self.loss.name} is about the probability of the right class and needs "
                "model.output=softmax. For sigmoid outputs choose loss=ce, mse or quadratic."
            )
        if self.dropout.name in ("hidden", "both") and not self.model.hidden:
            raise UserError(
                f"dropout={self.dropout.name} with model.hidden=[]: there is no hidden layer to "
                "drop units of. Say model=mlp or model.hidden=[30], or choose dropout=input."
            )
        if self.trainer.early_stopping and self.data.without_validation:
            raise UserError(
                f"trainer.early_stopping=true with {self.data.without_validation}: it watches the "
                "loss on the validation examples. Set another number of them."
            )
