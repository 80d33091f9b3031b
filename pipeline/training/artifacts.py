"""The files that a run keeps: its config, its weights and its figures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from jaxtyping import Int
from safetensors import SafetensorError
from torch import Tensor

from pipeline.config.schema import Config
from pipeline.data.layout import Table, column_list
from pipeline.data.scaling import Scaling
from pipeline.errors import UserError
from pipeline.report.confusion import CONFUSION_FILE, write_confusion
from pipeline.report.figures import draw_confusion, draw_curves
from pipeline.secrets import without_password
from pipeline.tracking.provenance import dump_yaml, provenance
from pipeline.tracking.record import CURVES, curve
from pipeline.trained.weights import WEIGHTS_FILE, Header, write_weights

__all__ = ["write_configs", "write_results"]

COLUMNS_FILE = "columns.csv"


def write_configs(folder: Path, config: Config, overrides: Sequence[str], device: str) -> None:
    """Write config.yaml, every key resolved, and provenance.yaml, what was typed and ran where."""
    uri = config.tracking.uri
    tracking = replace(config.tracking, uri=without_password(uri)) if uri else config.tracking
    resolved = {**vars(config), "tracking": tracking}
    sections = [
        dump_yaml(json.dumps({name: value}, default=vars)) for name, value in resolved.items()
    ]
    (folder / "config.yaml").write_text("".join(sections))
    (folder / "provenance.yaml").write_text(provenance(overrides, device))


def write_results(
    folder: Path,
    parameters: Mapping[str, Tensor],
    epochs: Mapping[int, dict[str, float]],
    counts: Int[Tensor, "classes classes"],
    *,
    header: Header,
    scaling: Scaling,
    title: str,
    figures: bool,
) -> None:
    """Write weights.safetensors and confusion.csv of a trained network, and its two figures.

    What became of a table's columns is listed in columns.csv.

    Args:
        folder: where they go.
        parameters: by name, such as layer1.weight (out, in) and layer1.bias (out).
        epochs: metrics by epoch, the first epoch first.
        counts: on the test examples, rows are the true classes.
        header: what the file of the weights says of the network.
        scaling: how its inputs were scaled.
        title: of the figures.
        figures: draw curves.png and confusion.png now; else `python -m pipeline.figures` does.

    Raises:
        UserError: they can't be written.
    """
    try:
        write_weights(folder / WEIGHTS_FILE, parameters, header, scaling)
        if isinstance(header.inputs, Table):
            (folder / COLUMNS_FILE).write_text(column_list(header.inputs), "utf-8")
        write_confusion(folder / CONFUSION_FILE, counts.numpy(), header.classes)
        if figures:
            curves = {
                key: curve((epoch, metrics[key]) for epoch, metrics in epochs.items())
                for key in CURVES
                if key in next(iter(epochs.values()))
            }
            draw_curves(folder / "curves.png", curves, title=title)
            draw_confusion(
                folder / "confusion.png", counts.numpy(), classes=header.classes, title=title
            )
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"{folder}: the run's files can't be written there ({error}). Make room and run again."
        ) from error
