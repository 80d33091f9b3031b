"""How well the rule tells right from wrong: published numbers given to the wrong runs.

A rule that calls nearly everything an agreement would say so of mismatches, too. Here every
published number is judged by the runs of every other cell of its study, at the level of its own
verdict; where those cells really differ, it should be rejected.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline.reproduce.answers import Item, Numbered, draws_of, is_accuracy
from pipeline.reproduce.estimate import Draws
from pipeline.reproduce.runs import StudyRuns
from pipeline.reproduce.verdicts import ALPHA, Verdict, judge, margin

__all__ = ["Discrimination", "discriminate"]


@dataclass(frozen=True)
class Discrimination:
    """How often mismatched numbers are rejected, and matched ones not."""

    rejected: int
    """Mismatches that are called different, of cells that really differ."""
    mismatches: int
    matched_rejected: int
    matched: int

    @property
    def share(self) -> float | None:
        """The share of mismatches that are rejected; None if there are none."""
        return self.rejected / self.mismatches if self.mismatches else None


def discriminate(runs: StudyRuns, found: Sequence[Numbered]) -> Discrimination:
    """Judge the published numbers of a study by the runs of each other's cells."""
    judged = [one for one in found if one.answer.verdict not in (Verdict.MISSING, Verdict.TOO_FEW)]
    verdicts = list(_mismatched(runs, judged))
    return Discrimination(
        rejected=sum(verdict.rejects for verdict in verdicts),
        mismatches=len(verdicts),
        matched_rejected=sum(one.answer.verdict.rejects for one in judged),
        matched=len(judged),
    )


def _mismatched(runs: StudyRuns, judged: Sequence[Numbered]) -> Iterator[Verdict]:
    for one in judged:
        for other in judged:
            if one is other or not _is_comparable(one.item, other.item):
                continue
            of_other = draws_of(runs, one.item, other.item.where)
            accuracies = is_accuracy(one.item.entry.metric)
            if _really_differ(one.answer.ours, of_other, is_accuracy=accuracies):
                alpha = (1 - one.answer.level) * len(one.item.values)
                yield judge(one.item.values, of_other, alpha, is_accuracy=accuracies)


def _is_comparable(one: Item, other: Item) -> bool:
    same_metric = one.entry.metric == other.entry.metric
    return same_metric and one.entry.kind == other.entry.kind and one.where != other.where


def _really_differ(ours: Sequence[Draws], others: Sequence[Draws], *, is_accuracy: bool) -> bool:
    """Return whether the means of two cells are surely farther apart than what counts as close."""
    for mine, other in zip(ours, others, strict=True):
        gap = abs(mine.mean - other.mean)
        unsure = (
            mine.mean_interval(1 - ALPHA).half_width + other.mean_interval(1 - ALPHA).half_width
        )
        if gap - unsure > margin(mine, is_accuracy=is_accuracy):
            return True
    return False
