"""Which runs answer which published number, and what they say to it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.reproduce.estimate import Draws, Kind
from pipeline.reproduce.runs import StudyRuns
from pipeline.reproduce.study import Published, Study, Where
from pipeline.reproduce.verdicts import Answer, judge_all

__all__ = ["Item", "Numbered", "answer", "at_epoch", "draws_of", "is_accuracy", "items_of"]

KINDS: dict[str, Kind] = {"mean": "mean", "best": "best", "peak": "best"}


@dataclass(frozen=True)
class Item:
    """A published number or curve, and the cell whose runs answer it."""

    label: str
    where: Where
    values: Sequence[float]
    entry: Published

    def __str__(self) -> str:
        return self.label


@dataclass(frozen=True)
class Numbered:
    """An item with its verdict."""

    item: Item
    answer: Answer


def items_of(study: Study) -> list[Item]:
    """Return the published numbers and curves of a study, each once."""
    items: list[Item] = []
    for entry in study.published:
        if entry.along is None:
            items.append(Item(entry.label, entry.where, entry.values, entry))
            continue
        for place, where, value in zip(entry.at, entry.cells(), entry.values, strict=True):
            key = entry.along.rpartition(".")[2]
            symbol = {"strength": "λ", "p_keep": "p(keep)", "lr": "η"}.get(key, key)
            said = f"{place:g}" if isinstance(place, float) else str(place)
            items.append(Item(f"{entry.label}, {symbol} = {said}", where, [value], entry))
    return items


def is_accuracy(metric: str) -> bool:
    """Return whether a metric is a share from 0 to 1, such as an accuracy; a loss otherwise."""
    return metric.endswith(("accuracy", "confidence"))


def draws_of(runs: StudyRuns, item: Item, where: Where | None = None) -> list[Draws]:
    """Return what our seeds gave for each number of an item.

    Args:
        runs: of the study.
        item: the numbers.
        where: the cell to take the runs from; the item's own otherwise.
    """
    entry = item.entry
    curves = runs.curves(item.where if where is None else where, entry.metric).values()
    if entry.kind == "curve":
        places = range(1, len(item.values) + 1)
        return [
            Draws.over(
                [at_epoch(curve, place) for curve in curves],
                rounding=entry.rounding,
            )
            for place in places
        ]
    found = [_number(curve, entry) for curve in curves]
    return [Draws.over(found, KINDS.get(entry.kind, "one"), entry.of, entry.rounding)]


def at_epoch(curve: Sequence[float] | None, epoch: int | None) -> float | None:
    """Return a curve's number at the end of an epoch, from 1, the last one otherwise.

    None if there is none: the run is missing, was shorter, or was not evaluated then.
    """
    if not curve or len(curve) < (epoch or 1):
        return None
    value = curve[-1 if epoch is None else epoch - 1]
    return None if math.isnan(value) else value


def _number(curve: Sequence[float] | None, entry: Published) -> float | None:
    if entry.kind != "peak":
        return at_epoch(curve, entry.epoch)
    values = [value for value in (curve or [])[: entry.epoch] if not math.isnan(value)]
    return max(values) if values and len(curve or []) >= (entry.epoch or 1) else None


def answer(study: Study, runs: StudyRuns) -> list[Numbered]:
    """Judge all published numbers of a study together."""
    items = items_of(study)
    numbers = [(item.values, draws_of(runs, item)) for item in items]
    kinds = [is_accuracy(item.entry.metric) for item in items]
    answers = judge_all(numbers, are_accuracies=kinds)
    return [Numbered(item, found) for item, found in zip(items, answers, strict=True)]
