"""The files that a run keeps: its config, its weights and its figures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import cast

import yaml
from jaxtyping import Int
from safetensors import SafetensorError
from safetensors.torch import save_file  # pyright: ignore[reportUnknownVariableType]
from torch import Tensor

from pipeline.config.schema import Config
from pipeline.errors import UserError
from pipeline.report.figures import draw_confusion, draw_curves
from pipeline.secrets import without_password
from pipeline.tracking.record import curve
from pipeline.training.weights import WEIGHTS_FILE, Header

__all__ = ["write_configs", "write_results"]

DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
"""The one written in C is there if PyYAML was built with it."""


def write_configs(folder: Path, config: Config, overrides: Sequence[str]) -> None:
    """Write config.yaml, every key resolved, and overrides.yaml, what was typed."""
    resolved = asdict(config)
    if config.tracking.uri:
        resolved["tracking"]["uri"] = without_password(config.tracking.uri)
    typed = [without_password(override) for override in overrides]
    sections = [_dump(json.dumps({name: value})) for name, value in resolved.items()]
    (folder / "config.yaml").write_text("".join(sections))
    lines = [_dump(json.dumps([override])) for override in typed]
    (folder / "overrides.yaml").write_text("".join(lines) or "[]\n")


@lru_cache(2**12)
def _dump(text: str) -> str:
    """Return a part of a YAML file for a JSON text; most parts are the same in all runs."""
    return yaml.dump(json.loads(text), Dumper=DUMPER, sort_keys=False)


def write_results(
    folder: Path,
    parameters: Mapping[str, Tensor],
    epochs: Mapping[int, dict[str, float]],
    counts: Int[Tensor, "classes classes"],
    *,
    header: Header,
    title: str,
    figures: bool,
) -> None:
    """Write weights.safetensors and confusion.csv of a trained network, and its two figures.

    Args:
        folder: where they go.
        parameters: by name, such as layer1.weight (out, in) and layer1.bias (out).
        epochs: metrics by epoch, the first epoch first.
        counts: on the test examples, rows are the true classes.
        header: what the file of the weights says of the network.
        title: of the figures.
        figures: draw curves.png and confusion.png now; else `python -m pipeline.figures` does.

    Raises:
        UserError: they can't be written.
    """
    try:
        named = {name: tensor.cpu().contiguous() for name, tensor in parameters.items()}
        save_file(named, folder / WEIGHTS_FILE, header.as_metadata())
        rows = cast("list[list[int]]", counts.tolist())
        lines = [",".join(map(str, row)) + "\n" for row in rows]
        (folder / "confusion.csv").write_text("".join(lines))
        if figures:
            train_loss, test_accuracy = (
                curve((epoch, metrics[key]) for epoch, metrics in epochs.items())
                for key in ("train/loss", "test/accuracy")
            )
            draw_curves(folder / "curves.png", train_loss, test_accuracy, title=title)
            draw_confusion(folder / "confusion.png", counts.numpy(), title=title)
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"{folder}: the run's files can't be written there ({error}). Make room and run again."
        ) from error
