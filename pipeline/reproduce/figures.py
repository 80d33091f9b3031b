"""The report's figures of the studies: published numbers over what our seeds gave."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.report.study_figures import Band, Panel, draw_panels, draw_runs
from pipeline.reproduce.cells import (
    DROPOUT_READINGS,
    LAST_EPOCH,
    LOSS_NAMES,
    PENALTY_NAMES,
    at_epoch,
    dropout_where,
    penalty_where,
)
from pipeline.reproduce.reference import Reference
from pipeline.reproduce.runs import StudyRuns

__all__ = ["PANELS", "draw_study"]


def draw_study(path: Path, runs: StudyRuns, reference: Reference) -> None:
    """Draw the figure of a study into a PNG file."""
    if runs.name == "sgd_network":
        _draw_sgd_network(path, runs, reference)
    else:
        title, make_panels = PANELS[runs.name]
        draw_panels(path, make_panels(runs, reference), title=title)


def _draw_sgd_network(path: Path, runs: StudyRuns, reference: Reference) -> None:
    accuracies = runs.curves({}, "test/accuracy").values()
    ignored = runs.curves({}, "test/ignored_classes").values()
    finished = [(a, int(i[-1])) for a, i in zip(accuracies, ignored, strict=True) if a and i]
    draw_runs(
        path,
        [curve for curve, _ in finished],
        [digits for _, digits in finished],
        published=[
            correct / reference.sgd_network.test_size for correct in reference.sgd_network.correct
        ],
        title="Problem 1.3: 784-10, quadratic cost, η = 3: the outcome falls into bands",
        group_name="digit ignored",
        y_label="test accuracy",
    )


def _loss_panels(runs: StudyRuns, reference: Reference) -> list[Panel]:
    def bands(metric: str) -> list[Band]:
        return [
            Band(
                LOSS_NAMES[name],
                _by_epoch(runs, {"loss.name": name}, metric, LAST_EPOCH),
                getattr(published, metric.replace("/", "_")),
            )
            for name, published in reference.losses
        ]

    epochs = range(1, LAST_EPOCH + 1)
    return [
        Panel("train loss", "epoch", "mean loss", epochs, bands("train/loss"), y_scale="log"),
        Panel("test accuracy", "epoch", "test accuracy", epochs, bands("test/accuracy")),
    ]


def _penalty_panels(runs: StudyRuns, reference: Reference) -> list[Panel]:
    strengths = reference.penalties.strength
    bands: list[Band] = []
    for name, label in PENALTY_NAMES.items():
        values = _by_cell(runs, [penalty_where(name, strength) for strength in strengths])
        bands.append(Band(label, values, getattr(reference.penalties, name)))
    title = f"after {LAST_EPOCH} epochs"
    return [Panel(title, "λ", "test accuracy", strengths, bands, x_scale="categories")]


def _dropout_panels(runs: StudyRuns, reference: Reference) -> list[Panel]:
    printed = dict(zip(reference.dropout.p_keep, reference.dropout.test_accuracy, strict=True))
    p_keeps = sorted(printed)
    published = [printed[p_keep] for p_keep in p_keeps]
    bands: dict[str, list[Band]] = {"input": [], "logits": []}
    for reading, (where, phase) in DROPOUT_READINGS.items():
        values = _by_cell(runs, [dropout_where(where, phase, p_keep) for p_keep in p_keeps])
        is_published = (where, phase) == ("input", "test")
        label = reading.partition(", ")[2]
        bands[where].append(Band(label, values, published if is_published else None))
    return [
        Panel(f"dropout of the {place}", "p(keep)", "test accuracy", p_keeps, bands[where])
        for place, where in (("inputs", "input"), ("logits", "logits"))
    ]


def _overfitting_panels(runs: StudyRuns, reference: Reference) -> list[Panel]:
    del reference
    num_epochs = runs.jobs[0].config.trainer.max_epochs
    p_keeps = sorted({job.config.dropout.p_keep or 1.0 for job in runs.jobs})
    panels: list[Panel] = []
    for metric in ("train/accuracy", "test/accuracy"):
        bands = [
            Band(f"p(keep) = {p:g}", _by_epoch(runs, {"dropout.p_keep": p}, metric, num_epochs))
            for p in p_keeps
        ]
        name = metric.replace("/", " ")
        panels.append(Panel(name, "epoch", name, range(1, num_epochs + 1), bands))
    return panels


def _by_epoch(
    runs: StudyRuns, where: Mapping[str, object], metric: str, num_epochs: int
) -> list[list[float]]:
    """Return a metric's curves seed by seed, with NaN for the epochs that a run lacks."""
    curves = [curve or [] for curve in runs.curves(where, metric).values()]
    return [[*c[:num_epochs], *[math.nan] * (num_epochs - len(c))] for c in curves]


def _by_cell(runs: StudyRuns, cells: Sequence[Mapping[str, object]]) -> list[list[float]]:
    """Return the final accuracies seed by seed, one for each cell."""
    columns = [at_epoch(runs, where, "test/accuracy", LAST_EPOCH) for where in cells]
    rows = zip(*columns, strict=True)
    return [[math.nan if value is None else value for value in row] for row in rows]


PANELS = {
    "losses": ("Problem 4.1: three losses", _loss_panels),
    "penalties": ("Problem 4.2: penalties", _penalty_panels),
    "dropout": ("Problem 4.2: dropout, by where it acts and when", _dropout_panels),
    "claims": ("784-100-10 on 1,000 images: a network that overfits", _overfitting_panels),
}
"""The title of a study's figure, and what makes its panels."""
