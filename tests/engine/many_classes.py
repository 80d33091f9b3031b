"""Data of any number of classes, which a few steps learn by heart."""

from __future__ import annotations

from dataclasses import replace

import torch

from pipeline.config.schema import Config, DataConfig, OptimizerConfig
from pipeline.data.tensors import Data, Split, load


def one_of_each(num_classes: int) -> Data:
    """One example of each class to train and validate on; for testing each has the next label."""
    labels = torch.arange(num_classes)
    right = Split(torch.eye(num_classes), labels)
    wrong = Split(right.inputs, labels.roll(-1))
    digits = load(DataConfig("digits", batch_size=1, num_train=1, num_val=0))
    classes = tuple(map(str, range(num_classes)))
    return replace(digits, train=right, val=right, test=wrong, classes=classes)


def learning(num_classes: int) -> Config:
    """What learns them within three epochs of one step."""
    data = DataConfig("digits", batch_size=num_classes, num_train=num_classes)
    return Config(data=data, optimizer=OptimizerConfig("sgd", lr=500.0))
