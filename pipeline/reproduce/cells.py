"""Which runs answer which published number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.reproduce.reference import Losses, Penalties, Reference, SgdNetwork
from pipeline.reproduce.runs import StudyRuns
from pipeline.reproduce.verdicts import Estimate, Verdict, judge

__all__ = [
    "DROPOUT_READINGS",
    "LAST_EPOCH",
    "LOSS_NAMES",
    "PENALTY_NAMES",
    "Answer",
    "Cell",
    "answer",
    "at_epoch",
    "dropout_where",
    "find_cells",
    "penalty_where",
]

LOSS_NAMES = {
    "mse": "mean squared error",
    "ce": "cross-entropy",
    "nll": "log-likelihood",
}

PENALTY_NAMES = {"l1": "L1", "l2": "L2"}

LAST_EPOCH = 5
"""The number of epochs of the runs in Problem 4."""

DROPOUT_READINGS = {
    "input, while training": ("input", "train"),
    "input, training and test": ("input", "always"),
    "input, at test alone": ("input", "test"),
    "logits, while training": ("logits", "train"),
    "logits, training and test": ("logits", "always"),
    "logits, at test alone": ("logits", "test"),
}
"""Where dropout acts and when: what the printed column may mean. The first is what dropout is."""


@dataclass(frozen=True)
class Cell:
    """One published number and the runs that answer it."""

    label: str
    published: float
    where: Mapping[str, object]
    """Values by the config's keys that those runs have; they differ in the seed."""
    metric: str = "test/accuracy"
    epoch: int = LAST_EPOCH
    """The epoch at whose end the metric counts, from 1."""

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
    """Return the published numbers that a study answers, if there are any."""
    if study == "sgd_network":
        return _sgd_network_cells(reference.sgd_network)
    if study == "losses":
        return _loss_cells(reference.losses)
    if study == "penalties":
        return _penalty_cells(reference.penalties)
    if study == "dropout":
        return dropout_cells(reference, *next(iter(DROPOUT_READINGS.values())))
    return []


def _sgd_network_cells(published: SgdNetwork) -> list[Cell]:
    return [
        Cell(f"epoch {epoch - 1}", correct / published.test_size, {}, epoch=epoch)
        for epoch, correct in enumerate(published.correct, start=1)
    ]


def _loss_cells(published: Losses) -> list[Cell]:
    return [
        Cell(f"{name}, {what}, epoch {epoch}", value, {"loss.name": name}, metric, epoch)
        for name, curves in published
        for what, metric, values in (
            ("train loss", "train/loss", curves.train_loss),
            ("test accuracy", "test/accuracy", curves.test_accuracy),
        )
        for epoch, value in enumerate(values, start=1)
    ]


def _penalty_cells(published: Penalties) -> list[Cell]:
    return [
        Cell(f"{label}, λ = {strength:g}", value, penalty_where(name, strength))
        for name, label in PENALTY_NAMES.items()
        for strength, value in zip(published.strength, getattr(published, name), strict=True)
    ]


def dropout_cells(reference: Reference, where: str, phase: str) -> list[Cell]:
    """Return the printed dropout column, answered by one reading of it."""
    published = reference.dropout
    return [
        Cell(f"p(keep) = {p_keep:g}", value, dropout_where(where, phase, p_keep))
        for p_keep, value in zip(published.p_keep, published.test_accuracy, strict=True)
    ]


def penalty_where(name: str, strength: float) -> dict[str, object]:
    """Return the config's values of one cell of the study of penalties."""
    return {"regularizer.name": name, "regularizer.strength": strength}


def dropout_where(where: str, phase: str, p_keep: float) -> dict[str, object]:
    """Return the config's values of one cell of the study of dropout."""
    return {"dropout.name": where, "dropout.phase": phase, "dropout.p_keep": p_keep}


def at_epoch(
    runs: StudyRuns, where: Mapping[str, object], metric: str, epoch: int
) -> list[float | None]:
    """Return a metric at the end of an epoch (from 1), seed by seed; None where it is missing."""
    curves = runs.curves(where, metric).values()
    return [curve[epoch - 1] if curve and len(curve) >= epoch else None for curve in curves]


def answer(cell: Cell, runs: StudyRuns) -> Answer:
    """Compare a published number with the runs that answer it."""
    ours = Estimate.over(at_epoch(runs, cell.where, cell.metric, cell.epoch))
    return Answer(cell, ours, judge(cell.published, ours, is_accuracy=cell.is_accuracy))
