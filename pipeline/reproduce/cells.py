"""Which runs answer which published number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.reproduce.reference import Reference
from pipeline.reproduce.runs import StudyRuns
from pipeline.reproduce.verdicts import Estimate, Verdict, judge

__all__ = [
    "DROPOUT_READINGS",
    "LOSS_NAMES",
    "PENALTY_NAMES",
    "Answer",
    "Cell",
    "answer",
    "at_epoch",
    "dropout_where",
    "find_cells",
]

LOSS_NAMES = {
    "mse": "mean squared error",
    "ce": "cross-entropy",
    "nll": "log-likelihood",
}

PENALTY_NAMES = {"l1": "L1", "l2": "L2"}

LAST_EPOCH = 5
"""Of Problem 4's runs."""


@dataclass(frozen=True)
class Cell:
    """One published number and the runs that answer it."""

    label: str
    published: float
    where: Mapping[str, object]
    """Values by the config's keys that those runs have; they differ in the seed."""
    metric: str
    epoch: int
    """From 1."""

    @property
    def is_accuracy(self) -> bool:
        """Whether it is a test accuracy; a train loss otherwise."""
        return self.metric == "test/accuracy"


@dataclass(frozen=True)
class Answer:
    """A published number beside ours."""

    cell: Cell
    ours: Estimate
    verdict: Verdict


def find_cells(study: str, reference: Reference) -> list[Cell]:
    """Return the published numbers that a study answers."""
    if study == "sgd_network":
        return _sgd_network_cells(reference)
    if study == "losses":
        return _loss_cells(reference)
    if study == "penalties":
        return _penalty_cells(reference)
    if study == "dropout":
        where, phase = next(iter(DROPOUT_READINGS.values()))
        return dropout_cells(reference, where, phase)
    return []


def _sgd_network_cells(reference: Reference) -> list[Cell]:
    return [
        Cell(f"epoch {epoch - 1}", correct / reference.test_size, {}, "test/accuracy", epoch)
        for epoch, correct in enumerate(reference.correct_of_epoch, start=1)
    ]


def _loss_cells(reference: Reference) -> list[Cell]:
    return [
        Cell(f"{name}, {what}, epoch {epoch}", value, {"loss.name": name}, metric, epoch)
        for name, curves in reference.losses.items()
        for what, metric, key in (
            ("train loss", "train/loss", "train_loss"),
            ("test accuracy", "test/accuracy", "test_accuracy"),
        )
        for epoch, value in enumerate(curves[key], start=1)
    ]


def _penalty_cells(reference: Reference) -> list[Cell]:
    return [
        Cell(
            f"{PENALTY_NAMES[name]}, λ = {strength:g}",
            value,
            {"regularizer.name": name, "regularizer.strength": strength},
            "test/accuracy",
            LAST_EPOCH,
        )
        for name, accuracies in reference.penalties.items()
        for strength, value in zip(reference.strengths, accuracies, strict=True)
    ]


DROPOUT_READINGS = {
    "input, while training": ("input", "train"),
    "input, training and test": ("input", "always"),
    "input, at test alone": ("input", "test"),
    "logits, while training": ("logits", "train"),
    "logits, training and test": ("logits", "always"),
    "logits, at test alone": ("logits", "test"),
}
"""Where dropout acts and when: what the printed column may mean. The first is what dropout is."""


def dropout_where(where: str, phase: str, p_keep: float) -> dict[str, object]:
    """Return the config's values of one cell of the dropout study."""
    return {"dropout.name": where, "dropout.phase": phase, "dropout.p_keep": p_keep}


def dropout_cells(reference: Reference, where: str, phase: str) -> list[Cell]:
    """Return the printed dropout column, answered by one reading of it."""
    return [
        Cell(
            f"p(keep) = {p_keep:g}",
            value,
            dropout_where(where, phase, p_keep),
            "test/accuracy",
            LAST_EPOCH,
        )
        for p_keep, value in zip(reference.p_keeps, reference.dropout, strict=True)
    ]


def at_epoch(
    runs: StudyRuns, where: Mapping[str, object], metric: str, epoch: int
) -> list[float | None]:
    """Return a metric at the end of an epoch (from 1), seed by seed; None where it is missing."""
    curves = runs.curves(where, metric).values()
    return [
        curve[epoch - 1] if curve is not None and len(curve) >= epoch else None for curve in curves
    ]


def answer(cell: Cell, runs: StudyRuns) -> Answer:
    """Compare a published number with the runs that answer it."""
    values = at_epoch(runs, cell.where, cell.metric, cell.epoch)
    ours = Estimate(tuple(value for value in values if value is not None), len(values))
    return Answer(cell, ours, judge(cell.published, ours, is_accuracy=cell.is_accuracy))
