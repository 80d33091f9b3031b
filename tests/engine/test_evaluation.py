from dataclasses import replace
from typing import Any

import pytest
import torch

from pipeline.config.schema import (
    AttackConfig,
    Config,
    DataConfig,
    DropoutConfig,
    ScheduleConfig,
    TrainerConfig,
)
from pipeline.data.tensors import Data, load
from pipeline.engine.evaluation import Epochs, Evaluation, best_on_val, confusion_counts, part
from pipeline.engine.module import GroupModule
from pipeline.training.fit import make_trainer
from tests.engine.many_classes import learning, one_of_each

pytestmark = pytest.mark.filterwarnings(
    r"ignore:`isinstance\(treespec, LeafSpec\)` is deprecated"  # Lightning's, with this torch
)


def fit(
    *configs: Config, epochs: int = 1, data: Data | None = None, **ending: Any
) -> tuple[GroupModule, Evaluation]:
    trainer = TrainerConfig("cpu", max_epochs=epochs, **ending)
    configs = tuple(replace(config, trainer=trainer) for config in configs)
    module, callback = GroupModule(configs, data or load(configs[0].data)), Evaluation(len(configs))
    make_trainer(trainer, [callback]).fit(module)
    return module, callback


def of_digits(num_val: int = 200, **groups: object) -> Config:
    data = DataConfig("digits", batch_size=100, num_train=1000, num_val=num_val)
    return Config(data=data, **groups)  # pyright: ignore[reportArgumentType]


def test_every_epoch_is_evaluated_and_an_earlier_end_changes_nothing():
    """That the numbers are right is shown against the oracle, in test_equivalence.py."""
    _, callback = fit(of_digits(), epochs=3)
    one_epoch_less = fit(of_digits(), epochs=2)[1]
    assert list(callback.epochs[0]) == [1, 2, 3]
    assert {epoch: callback.epochs[0][epoch] for epoch in (1, 2)} == one_epoch_less.epochs[0]


def test_some_epochs_are_evaluated_and_the_last_one_always_with_the_same_numbers():
    _, every = fit(of_digits(), epochs=7)
    _, some = fit(of_digits(), epochs=7, evaluate_every=3)
    assert list(some.epochs[0]) == [3, 6, 7]
    assert all(metrics == every.epochs[0][epoch] for epoch, metrics in some.epochs[0].items())
    assert torch.equal(some.test_predictions, every.test_predictions)
    assert list(fit(of_digits(), epochs=2, evaluate_every=3)[1].epochs[0]) == [2]


@pytest.mark.parametrize(
    ("max_steps", "last"), [(1, 1), (9, 1), (10, 1), (25, 3), (30, 3), (99, 4)]
)
def test_training_ends_after_so_many_steps_and_is_evaluated_there(max_steps: int, last: int):
    """That the weights are right is shown against the oracle, in test_equivalence.py."""
    module, callback = fit(of_digits(), epochs=4, max_steps=max_steps, evaluate_every=2)
    assert module.num_steps == 10
    assert list(callback.epochs[0]) == [epoch for epoch in (2, 4) if epoch < last] + [last]
    assert module.trainer.current_epoch == last


def test_without_validation_examples_there_are_no_validation_metrics():
    _, callback = fit(of_digits(num_val=0))
    assert set(callback.epochs[0][1]) == {
        "train/loss",
        "train/accuracy",
        "test/loss",
        "test/accuracy",
        "test/lost_classes",
    }


def test_the_rate_of_an_epochs_last_step_is_a_metric_where_it_changes():
    _, callback = fit(
        of_digits(),
        of_digits(schedule=ScheduleConfig("step", 0.0, 0.5, 1)),
        of_digits(schedule=ScheduleConfig("constant", warmup_epochs=1.5)),
        epochs=2,
    )
    rates = [[metrics.get("train/lr") for metrics in epochs.values()] for epochs in callback.epochs]
    assert rates == [[None, None], [0.5, 0.25], pytest.approx([0.5 * 10 / 15, 0.5])]


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch):
    dropout = DropoutConfig("input", 0.5, phase="test")
    configs = [of_digits(), of_digits(dropout=dropout), of_digits(seed=1, dropout=dropout)]
    _, whole = fit(*configs)
    monkeypatch.setattr(part, "CHUNK", 77)
    _, chunked = fit(*configs)
    for one, other in zip(whole.epochs, chunked.epochs, strict=True):
        assert one[1] == pytest.approx(other[1], rel=1e-5)


def test_the_confusion_matrix_agrees_with_the_accuracy():
    module, callback = fit(of_digits(), of_digits(seed=1))
    for member in range(2):
        labels = module.data.test.labels
        counts = confusion_counts(labels, callback.test_predictions[member], 10)
        assert counts.sum(1).tolist() == torch.bincount(labels).tolist()
        accuracy = callback.epochs[member][1]["test/accuracy"]
        assert counts.trace() / counts.sum() == pytest.approx(accuracy)


@pytest.mark.parametrize("num_classes", [2, 256, 257, 300])
def test_any_number_of_classes_is_told_apart(num_classes: int):
    config = replace(learning(num_classes), attack=AttackConfig("fgsm", epsilon=0.0))
    data = one_of_each(num_classes)
    _, callback = fit(config, epochs=3, data=data)
    predictions, metrics = callback.test_predictions[0], callback.epochs[0][3]
    assert predictions.tolist() == data.train.labels.tolist()
    assert (metrics["train/accuracy"], metrics["test/accuracy"]) == (1, 0)
    assert metrics["test/adversarial_accuracy"] == 0
    assert metrics["test/lost_classes"] == num_classes
    counts = confusion_counts(data.test.labels, predictions, num_classes)
    assert torch.equal(counts, torch.eye(num_classes, dtype=torch.int64).roll(1, dims=0))


def epochs_with(*val_losses: float) -> Epochs:
    return {
        epoch: {
            "train/loss": 9.0,
            "train/accuracy": 0.0,
            "val/loss": loss,
            "val/accuracy": 0.1 * epoch,
            "test/loss": 10.0 * epoch,
            "test/accuracy": 0.2 * epoch,
        }
        for epoch, loss in enumerate(val_losses, 1)
    }


@pytest.mark.parametrize(
    ("val_losses", "best"),
    [([0.5], 1), ([0.5, 0.3, 0.4], 2), ([0.5, 0.4, 0.3], 3), ([0.5, 0.3, 0.4, 0.3], 2)],
)
def test_best_epoch_has_the_lowest_validation_loss_the_first_among_equals(val_losses, best):
    assert best_on_val(epochs_with(*val_losses)) == pytest.approx(
        {
            "best/epoch": best,
            "best/val_loss": val_losses[best - 1],
            "best/val_accuracy": 0.1 * best,
            "best/test_loss": 10.0 * best,
            "best/test_accuracy": 0.2 * best,
        }
    )


def test_without_validation_nothing_is_best():
    assert best_on_val({}) == {}
    assert best_on_val({1: {"train/loss": 1.0, "test/loss": 1.0}}) == {}


def test_the_best_of_the_epochs_that_were_evaluated_keeps_its_number():
    epochs = {4 * epoch: metrics for epoch, metrics in epochs_with(0.5, 0.3, 0.4).items()}
    assert best_on_val(epochs)["best/epoch"] == 8
