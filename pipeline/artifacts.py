"""The files that a run keeps: its config, its weights and its pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import yaml
from safetensors.torch import save_file  # pyright: ignore[reportUnknownVariableType]
from torch import Tensor

from pipeline.config import Config
from pipeline.evaluation import confusion_matrix
from pipeline.module import ClassifierModule
from pipeline.network import Network
from pipeline.report.figures import draw_confusion, draw_curves
from pipeline.secrets import without_password

__all__ = ["write_configs", "write_results"]


def write_configs(folder: Path, config: Config, overrides: Sequence[str]) -> None:
    """Write config.yaml, every key resolved, and overrides.yaml, what was typed."""
    resolved = asdict(config)
    if config.tracking.uri:
        resolved["tracking"]["uri"] = without_password(config.tracking.uri)
    typed = [without_password(override) for override in overrides]
    (folder / "config.yaml").write_text(yaml.safe_dump(resolved, sort_keys=False))
    (folder / "overrides.yaml").write_text(yaml.safe_dump(typed))


def write_results(
    folder: Path, module: ClassifierModule, epochs: Sequence[dict[str, float]], *, title: str
) -> None:
    """Write weights.safetensors, curves.png and confusion.png of a trained network.

    Args:
        folder: where they go.
        module: after training.
        epochs: metrics of every epoch, the first epoch first.
        title: of the pictures.
    """
    save_file(_named_weights(module.network), folder / "weights.safetensors")
    train_loss = [metrics["train/loss"] for metrics in epochs]
    test_accuracy = [metrics["test/accuracy"] for metrics in epochs]
    draw_curves(folder / "curves.png", train_loss, test_accuracy, title=title)
    data = module.data
    if module.evaluation_dropout:
        module.evaluation_dropout.start_epoch(len(epochs))
    counts = confusion_matrix(
        module.network, data.test, data.num_classes, module.evaluation_dropout
    )
    draw_confusion(folder / "confusion.png", counts.numpy(), title=title)


def _named_weights(network: Network) -> dict[str, Tensor]:
    """Return the weights (out, in) and biases (out) of every layer, numbered from 1."""
    layers = zip(network.weights, network.biases, strict=True)
    named: dict[str, Tensor] = {}
    for number, (weights, biases) in enumerate(layers, start=1):
        named[f"layer{number}.weight"] = weights.detach().cpu()
        named[f"layer{number}.bias"] = biases.detach().cpu()
    return named
