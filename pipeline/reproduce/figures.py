"""The report's figures of the studies: published numbers over what our seeds gave."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.report.bands import Band, Panel, draw_panels, draw_runs
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

__all__ = ["draw_study"]


def draw_study(path: Path, runs: StudyRuns, reference: Reference) -> None:
    """Draw the figure of a study into a PNG file."""
    _DRAW[runs.name](path, runs, reference)


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


def _draw_losses(path: Path, runs: StudyRuns, reference: Reference) -> None:
    epochs = range(1, LAST_EPOCH + 1)

    def bands(metric: str, key: str) -> list[Band]:
        return [
            Band(LOSS_NAMES[name], _by_epoch(runs, name, metric), getattr(curves, key))
            for name, curves in reference.losses
        ]

    panels = [
        Panel("train loss", "epoch", "mean loss", epochs, bands("train/loss", "train_loss"),
              y_scale="log"),
        Panel("test accuracy", "epoch", "test accuracy", epochs,
              bands("test/accuracy", "test_accuracy")),
    ]  # fmt: skip
    draw_panels(path, panels, title="Problem 4.1: three losses")


def _by_epoch(runs: StudyRuns, loss: str, metric: str) -> list[list[float]]:
    curves = runs.curves({"loss.name": loss}, metric).values()
    return [_padded(curve or []) for curve in curves]


def _padded(curve: Sequence[float]) -> list[float]:
    return [*curve[:LAST_EPOCH], *[math.nan] * (LAST_EPOCH - len(curve))]


def _draw_penalties(path: Path, runs: StudyRuns, reference: Reference) -> None:
    bands = [
        Band(
            PENALTY_NAMES[name],
            _by_value(
                runs,
                [penalty_where(name, strength) for strength in reference.penalties.strength],
            ),
            getattr(reference.penalties, name),
        )
        for name in PENALTY_NAMES
    ]
    panel = Panel(
        "after 5 epochs",
        "λ",
        "test accuracy",
        reference.penalties.strength,
        bands,
        x_scale="categories",
    )
    draw_panels(path, [panel], title="Problem 4.2: penalties")


def _draw_dropout(path: Path, runs: StudyRuns, reference: Reference) -> None:
    printed = dict(zip(reference.dropout.p_keep, reference.dropout.test_accuracy, strict=True))
    p_keeps = sorted(printed)
    published = [printed[p_keep] for p_keep in p_keeps]
    panels = [
        Panel(
            f"dropout of the {place}",
            "p(keep)",
            "test accuracy",
            p_keeps,
            [
                Band(
                    reading.partition(", ")[2],
                    _by_value(runs, [dropout_where(where, phase, p) for p in p_keeps]),
                    published if (where, phase) == ("input", "test") else None,
                )
                for reading, (where, phase) in DROPOUT_READINGS.items()
                if where == key
            ],
        )
        for place, key in (("inputs", "input"), ("logits", "logits"))
    ]
    draw_panels(path, panels, title="Problem 4.2: dropout, by where it acts and when")


def _by_value(runs: StudyRuns, cells: Sequence[Mapping[str, object]]) -> list[list[float]]:
    """Return the final accuracies seed by seed, one for each cell."""
    columns = [at_epoch(runs, where, "test/accuracy", LAST_EPOCH) for where in cells]
    rows = zip(*columns, strict=True)
    return [[math.nan if value is None else value for value in row] for row in rows]


def _draw_claims(path: Path, runs: StudyRuns, reference: Reference) -> None:
    del reference
    num_epochs = runs.jobs[0].config.trainer.max_epochs
    p_keeps = sorted({job.config.dropout.p_keep or 1.0 for job in runs.jobs})

    def bands(metric: str) -> list[Band]:
        found: list[Band] = []
        for p_keep in p_keeps:
            curves = runs.curves({"dropout.p_keep": p_keep}, metric).values()
            values = [curve or [math.nan] * num_epochs for curve in curves]
            found.append(Band(f"p(keep) = {p_keep:g}", values))
        return found

    panels = [
        Panel(f"{split} accuracy", "epoch", f"{split} accuracy", range(1, num_epochs + 1),
              bands(f"{split}/accuracy"))
        for split in ("train", "test")
    ]  # fmt: skip
    draw_panels(path, panels, title="784-100-10 on 1,000 images: a network that overfits")


_DRAW = {
    "sgd_network": _draw_sgd_network,
    "losses": _draw_losses,
    "penalties": _draw_penalties,
    "dropout": _draw_dropout,
    "claims": _draw_claims,
}
