"""Are the neurons of lost classes saturated? Measured on the weights that runs have kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, Integer
from numpy.typing import NDArray

from pipeline.config.schema import Config
from pipeline.data.tensors import Split, load
from pipeline.engine.metrics.lost_classes import LOST_BELOW
from pipeline.errors import UserError
from pipeline.reproduce.runs import StudyRuns
from pipeline.tracking.store import open_store
from pipeline.trained.stored import fetch_weights

__all__ = ["FLAT", "saturated_share", "saturated_shares"]

FLAT = 0.01
"""The slope σ′(z), at most 1/4, below which a neuron that answers 0 is saturated."""


def saturated_shares(runs: StudyRuns) -> dict[int, float | None]:
    """Return by seed the share of the lost classes' test images on which their neuron is saturated.

    None where no class is lost, or the run has no weights any more.
    """
    shares: dict[int, float | None] = {}
    for entry, result in zip(runs.jobs, runs.results, strict=True):
        if result is None:
            continue
        config = entry.job.config
        try:
            network = fetch_weights(
                open_store(config.tracking, Path(config.root)), result
            ).network()
        except UserError:
            shares[config.seed] = None
            continue
        test, divisor = _test_split(config)
        pixels = np.rint(test.inputs.numpy() * divisor).astype(np.uint8)
        outputs = network.outputs(pixels)
        shares[config.seed] = saturated_share(outputs, test.labels.numpy())
    return shares


def _test_split(config: Config) -> tuple[Split, NDArray[np.float64]]:
    """Return the test examples, and what their pixels were divided by."""
    loaded = load(replace(config.data, num_train=1, num_val=0, batch_size=1))
    return loaded.test, loaded.scaling.divisor


def saturated_share(
    outputs: Float[NDArray[np.floating], "examples classes"],
    labels: Integer[NDArray[np.integer], " examples"],
) -> float | None:
    """Return the share of the images of lost classes on which the class's own neuron is saturated.

    Args:
        outputs: of sigmoid neurons, a = σ(z), so that σ′(z) = a (1 - a).
        labels: the right class of every example.

    Returns:
        None if no class is lost.
    """
    own = outputs[np.arange(len(labels)), labels]
    is_flat = (own < 0.5) & (own * (1 - own) < FLAT)  # not where it is sure of its own class
    is_right = outputs.argmax(1) == labels
    classes = [labels == label for label in np.unique(labels)]
    lost = [is_flat[of_class] for of_class in classes if is_right[of_class].mean() < LOST_BELOW]
    return float(np.concatenate(lost).mean()) if lost else None
