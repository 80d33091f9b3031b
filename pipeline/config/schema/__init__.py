"""The schema behind conf/: every key, its type, its range and the rules that tie keys together.

A module for each group of keys. Nothing heavy is imported here: a bad value must be reported before
torch is loaded.
"""

from __future__ import annotations

from pipeline.config.schema.attack import AttackConfig
from pipeline.config.schema.data import DataConfig
from pipeline.config.schema.dropout import DropoutConfig
from pipeline.config.schema.loss import LossConfig
from pipeline.config.schema.model import ModelConfig
from pipeline.config.schema.optimizer import OptimizerConfig
from pipeline.config.schema.regularizer import RegularizerConfig
from pipeline.config.schema.resume import ResumeConfig
from pipeline.config.schema.run import Config
from pipeline.config.schema.schedule import ScheduleConfig
from pipeline.config.schema.tracking import TrackingConfig
from pipeline.config.schema.trainer import TrainerConfig

__all__ = [
    "AttackConfig",
    "Config",
    "DataConfig",
    "DropoutConfig",
    "LossConfig",
    "ModelConfig",
    "OptimizerConfig",
    "RegularizerConfig",
    "ResumeConfig",
    "ScheduleConfig",
    "TrackingConfig",
    "TrainerConfig",
]
