"""The files that a run keeps: its config, its weights and its figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import yaml
from jaxtyping import Int
from safetensors import SafetensorError
from safetensors.torch import save_file  # pyright: ignore[reportUnknownVariableType]
from torch import Tensor

from pipeline.config.schema import Config
from pipeline.errors import UserError
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
    folder: Path,
    layers: Sequence[tuple[Tensor, Tensor]],
    epochs: Sequence[dict[str, float]],
    counts: Int[Tensor, "classes classes"],
    *,
    title: str,
    figures: bool,
) -> None:
    """Write weights.safetensors and confusion.csv of a trained network, and its two figures.

    Args:
        folder: where they go.
        layers: weights (out, in) and biases (out), layer by layer.
        epochs: metrics of every epoch, the first epoch first.
        counts: on the test examples, rows are the true classes.
        title: of the figures.
        figures: draw curves.png and confusion.png now; else `python -m pipeline.figures` does.

    Raises:
        UserError: they can't be written.
    """
    try:
        _write_weights(folder / "weights.safetensors", layers)
        np.savetxt(folder / "confusion.csv", counts.numpy(), fmt="%d", delimiter=",")
        if figures:
            train_loss = [metrics["train/loss"] for metrics in epochs]
            test_accuracy = [metrics["test/accuracy"] for metrics in epochs]
            draw_curves(folder / "curves.png", train_loss, test_accuracy, title=title)
            draw_confusion(folder / "confusion.png", counts.numpy(), title=title)
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"{folder}: the run's files can't be written there ({error}). Make room and run again."
        ) from error


def _write_weights(path: Path, layers: Sequence[tuple[Tensor, Tensor]]) -> None:
    named: dict[str, Tensor] = {}
    for number, (weights, biases) in enumerate(layers, start=1):
        named[f"layer{number}.weight"] = weights.detach().cpu().contiguous()
        named[f"layer{number}.bias"] = biases.detach().cpu().contiguous()
    save_file(named, path)
