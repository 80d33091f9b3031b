from pathlib import Path

import pytest
import torch
from pytorch_lightning import Trainer
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (torch's own convention)

from pipeline.config.schema import Config, DataConfig, DropoutConfig, LossConfig, ModelConfig
from pipeline.data.tensors import Split, load
from pipeline.engine import evaluation
from pipeline.engine.dropout import Dropout
from pipeline.engine.evaluation import (
    Evaluation,
    best_on_val,
    confusion_counts,
    evaluate,
    ignored_classes,
)
from pipeline.engine.losses import make_loss
from pipeline.engine.module import ClassifierModule
from pipeline.engine.network import Network, initial_parameters

pytestmark = pytest.mark.filterwarnings(
    r"ignore:`isinstance\(treespec, LeafSpec\)` is deprecated"  # Lightning's, with this torch
)

NLL = make_loss(LossConfig("nll"), "softmax")
every_chunk = pytest.mark.parametrize("chunk", [1, 7, 60, 61, 10_000])


@pytest.fixture
def split() -> Split:
    inputs = torch.rand(61, 6, dtype=torch.float64)
    return Split(inputs, torch.randint(4, (61,)))


@pytest.fixture
def network() -> Network:
    source = torch.Generator().manual_seed(1)
    parameters = initial_parameters(
        [6, 5, 4], init="normal", std=2.0, generator=source, dtype=torch.float64
    )
    return Network(parameters, "tanh")


def in_one_go(logits: Tensor, labels: Tensor) -> tuple[float, float]:
    rows = zip(logits.tolist(), labels.tolist(), strict=True)
    right = sum(row.index(max(row)) == label for row, label in rows)
    return F.cross_entropy(logits, labels).item(), right / len(labels)


@every_chunk
def test_loss_and_accuracy_are_means_over_the_split(network, split, chunk, monkeypatch):
    monkeypatch.setattr(evaluation, "CHUNK", chunk)
    expected = in_one_go(network(split.inputs), split.labels)
    assert evaluate(network, split, NLL)[:2] == pytest.approx(expected, rel=1e-12)


@every_chunk
def test_units_dropped_at_evaluation_do_not_depend_on_the_chunk(network, split, chunk, monkeypatch):
    monkeypatch.setattr(evaluation, "CHUNK", chunk)
    p_keeps = (0.8, 0.5, 0.7)
    logits = network(split.inputs, Dropout(p_keeps, 1, "evaluate"))
    found = evaluate(network, split, NLL, Dropout(p_keeps, 1, "evaluate"))[:2]
    assert found == pytest.approx(in_one_go(logits, split.labels), rel=1e-12)
    assert found[0] != pytest.approx(evaluate(network, split, NLL)[0])


@every_chunk
def test_confusion_matrix_counts_right_classes_in_rows(network, split, chunk, monkeypatch):
    monkeypatch.setattr(evaluation, "CHUNK", chunk)
    counts = confusion_counts(split.labels, evaluate(network, split, NLL)[2], 4)
    expected = [[0] * 4 for _ in range(4)]
    taken = network(split.inputs).argmax(-1)
    for right, chosen in zip(split.labels.tolist(), taken.tolist(), strict=True):
        expected[right][chosen] += 1
    assert counts.tolist() == expected
    accuracy = counts.diagonal().sum().item() / len(split)
    assert accuracy == evaluate(network, split, NLL)[1]


def test_a_class_that_never_occurs_has_its_empty_row(network, split):
    counts = confusion_counts(torch.zeros(61).long(), evaluate(network, split, NLL)[2], 4)
    assert counts.shape == (4, 4)
    assert counts[0].sum() == counts.sum() == 61


def test_evaluation_leaves_no_gradients(network, split):
    evaluate(network, split, lambda logits, labels: _without_gradient(NLL(logits, labels)))


def _without_gradient(losses: Tensor) -> Tensor:
    assert not losses.requires_grad
    return losses


def fit(config: Config, *, epochs: int) -> tuple[ClassifierModule, Evaluation, Trainer]:
    data = load(
        "digits",
        Path(),
        num_train=config.data.num_train,
        num_val=config.data.num_val,
        download=False,
    )
    module, callback = ClassifierModule(config, data), Evaluation()
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        callbacks=[callback],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module)
    return module, callback, trainer


def test_every_epoch_is_evaluated_with_the_weights_it_ends_with():
    data = DataConfig("digits", batch_size=100, num_train=1000, num_val=200)
    module, callback, trainer = fit(Config(data=data), epochs=3)
    one_epoch_less = fit(Config(data=data), epochs=2)[1]
    assert callback.epochs[:2] == one_epoch_less.epochs
    assert len(callback.epochs) == 3
    last = callback.epochs[-1]
    for name in ("train", "val", "test"):
        found = last[f"{name}/loss"], last[f"{name}/accuracy"]
        part: Split = getattr(module.data, name)
        assert found == pytest.approx(in_one_go(module.network(part.inputs), part.labels))
        # where early stopping looks
        assert trainer.callback_metrics[f"{name}/loss"].item() == pytest.approx(found[0])
    assert len(last) == 7


def test_without_validation_examples_there_are_no_validation_metrics():
    data = DataConfig("digits", batch_size=100, num_train=1000, num_val=0)
    _, callback, _ = fit(Config(data=data), epochs=1)
    assert set(callback.epochs[0]) == {
        "train/loss",
        "train/accuracy",
        "test/loss",
        "test/accuracy",
        "test/ignored_classes",
    }


def test_every_split_of_an_epoch_drops_from_the_start_of_the_epochs_draws():
    data = DataConfig("digits", batch_size=1000, num_train=1000, num_val=0)
    dropout = DropoutConfig("hidden", p_keep=0.5, phase="test")
    config = Config(data=data, dropout=dropout, model=ModelConfig(hidden=[20]))
    module, callback, _ = fit(config, epochs=2)
    same = Dropout((1.0, 0.5, 1.0), config.seed, "evaluate")
    for name in ("train", "test"):
        same.start_epoch(2)
        found = callback.epochs[1][f"{name}/loss"], callback.epochs[1][f"{name}/accuracy"]
        part: Split = getattr(module.data, name)
        assert found == evaluate(module.network, part, module.loss, same)[:2]
    counts = confusion_counts(module.data.test.labels, callback.test_predictions, 10)
    assert counts.trace() / counts.sum() == pytest.approx(found[1])


def epochs_with(*val_losses: float) -> list[dict[str, float]]:
    return [
        {
            "train/loss": 9.0,
            "train/accuracy": 0.0,
            "val/loss": loss,
            "val/accuracy": 0.1 * epoch,
            "test/loss": 10.0 * epoch,
            "test/accuracy": 0.2 * epoch,
        }
        for epoch, loss in enumerate(val_losses, 1)
    ]


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
    assert best_on_val([]) == {}
    assert best_on_val([{"train/loss": 1.0, "test/loss": 1.0}]) == {}


def test_a_class_is_ignored_if_hardly_any_of_its_examples_are_recognised():
    labels = torch.arange(3).repeat_interleave(200)
    perfect, never_two, two_of_200, one_of_200 = (labels.clone() for _ in range(4))
    never_two[labels == 2] = 0
    two_of_200[402:600] = 1
    one_of_200[401:600] = 1
    predictions = torch.stack([perfect, never_two, two_of_200, one_of_200, labels * 0])
    found = ignored_classes(labels, predictions, num_classes=4)
    assert found.tolist() == [0, 1, 0, 1, 2]
