"""How a published number stands to ours: verdicts by a rule under which each could differ.

A published number is one more draw of what our seeds are draws of, or it isn't: the interval in
which such a draw falls (Student's t; Hahn & Meeker, Statistical Intervals, chapter 4) decides, at
a level that Holm's procedure (1979) sets for all numbers of a study together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import count, takewhile

from pipeline.reproduce.estimate import MIN_SEEDS, Draws, Interval

__all__ = [
    "ACCURACY_MARGIN",
    "ALPHA",
    "LOSS_MARGIN",
    "RULE",
    "Answer",
    "Verdict",
    "holm",
    "judge",
    "judge_all",
    "margin",
]

ALPHA = 0.05
"""Chance, at most, that any of a study's numbers is called different though none is."""

ACCURACY_MARGIN = 0.01
"""One point: an interval must not be wider, to each side, for an agreement to mean something; and
up to which a difference is a small one."""

SHARE_OF_ROOM = 0.25
"""The most of what is left to 0 or to 1 that such a margin may be: .0002 and .009 are not close."""

LOSS_MARGIN = 0.05
"""The same of a loss, as a share of ours."""


class Verdict(StrEnum):
    """What comes of a comparison with a published number."""

    AGREES = "agrees"
    SLIGHT = "differs slightly"
    DIFFERS = "differs"
    UNDECIDED = "not decided"
    TOO_FEW = "too few seeds"
    MISSING = "runs missing"

    @property
    def rejects(self) -> bool:
        """Whether it says that ours is not what was published."""
        return self in (Verdict.SLIGHT, Verdict.DIFFERS)


RULE = (
    "A published number is judged by the interval in which one more run of ours (or the mean, the "
    "best, the highest epoch of as many runs as it was made of) would fall, seeds being taken for "
    "normally distributed. The chance that any number of a study is called different, if none is, "
    f"is at most {ALPHA:.0%} (Holm's procedure, whose level the intervals have). "
    f"**{Verdict.AGREES}**: it lies in the interval, and that reaches no more than "
    f"{100 * ACCURACY_MARGIN:.0f} point of accuracy (near 0 or 1 a quarter of what is left to it), "
    f"or {LOSS_MARGIN:.0%} of a loss, to each side. "
    f"**{Verdict.UNDECIDED}**: it lies in the interval, but that is wider, so that much else would "
    f"too. **{Verdict.SLIGHT}**: it lies outside, but no farther from what is expected of ours "
    f"than an interval may reach. **{Verdict.DIFFERS}**: it lies outside and farther away. A curve "
    "is one number of the study: it differs if one of its epochs does, at a level divided among "
    "them, slightly if all of them are near, and it agrees if most of its intervals are narrow "
    "enough; the tables show the epoch that is the least like ours. "
    f"**{Verdict.TOO_FEW}**: fewer than {MIN_SEEDS} seeds. "
    f"**{Verdict.MISSING}**: a seed has no finished run, so nothing is said."
)


@dataclass(frozen=True)
class Answer:
    """A published number, or curve, beside ours."""

    published: Sequence[float]
    ours: Sequence[Draws]
    """For every number of a curve what our seeds gave."""
    verdict: Verdict
    level: float
    """The chance, for each number of it, with which the interval holds that the verdict uses."""

    @property
    def intervals(self) -> list[Interval]:
        """The intervals that the verdict uses."""
        return [draws.interval(self.level) for draws in self.ours]

    @property
    def worst(self) -> int:
        """The place of the number that is the least like ours."""
        pairs = list(zip(self.published, self.ours, strict=True))
        return min(range(len(pairs)), key=lambda index: pairs[index][1].p_value(pairs[index][0]))


def holm(p_values: Sequence[float], alpha: float = ALPHA) -> list[float]:
    """Return the level at which Holm's procedure tests each hypothesis, in the order given.

    Those whose p-value is no greater than their level are rejected, the others not (Holm, A simple
    sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6, 1979).
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    rejected = takewhile(
        lambda rank: rank < len(order) and p_values[order[rank]] <= alpha / (len(order) - rank),
        count(),
    )
    num_rejected = len(list(rejected))
    last = alpha / max(1, len(order) - num_rejected)
    levels = [last] * len(order)
    for rank in range(num_rejected):
        levels[order[rank]] = alpha / (len(order) - rank)
    return levels


def judge_all(
    numbers: Sequence[tuple[Sequence[float], Sequence[Draws]]], *, are_accuracies: Sequence[bool]
) -> list[Answer]:
    """Return the verdicts on all published numbers of a study, by RULE.

    Args:
        numbers: the published numbers (one, or those of a curve) with our draws for each.
        are_accuracies: of each, whether it is a share from 0 to 1; a loss otherwise.
    """
    can_judge = [
        all(one.is_complete and len(one.values) >= MIN_SEEDS for one in ours) for _, ours in numbers
    ]
    judged = [pair for pair, can in zip(numbers, can_judge, strict=True) if can]
    levels = iter(holm([_p_value(*pair) for pair in judged]))
    answers: list[Answer] = []
    for (published, ours), can, is_accuracy in zip(numbers, can_judge, are_accuracies, strict=True):
        if can:
            alpha = next(levels)
            verdict = judge(published, ours, alpha, is_accuracy=is_accuracy)
        else:
            alpha = ALPHA
            complete = all(one.is_complete for one in ours)
            verdict = Verdict.TOO_FEW if complete else Verdict.MISSING
        answers.append(Answer(published, ours, verdict, 1 - alpha / len(ours)))
    return answers


def judge(
    published: Sequence[float], ours: Sequence[Draws], alpha: float, *, is_accuracy: bool
) -> Verdict:
    """Return the verdict on a published number or curve at a level of significance."""
    level = 1 - alpha / len(ours)
    intervals = [draws.interval(level) for draws in ours]
    margins = [margin(draws, is_accuracy=is_accuracy) for draws in ours]
    if not all(one.holds(value) for value, one in zip(published, intervals, strict=True)):
        near = all(
            abs(value - one.center) <= most
            for value, one, most in zip(published, ours, margins, strict=True)
        )
        return Verdict.SLIGHT if near else Verdict.DIFFERS
    narrow = [one.half_width <= most for one, most in zip(intervals, margins, strict=True)]
    return Verdict.AGREES if 2 * sum(narrow) > len(narrow) else Verdict.UNDECIDED


def margin(draws: Draws, *, is_accuracy: bool) -> float:
    """Return the distance up to which a number is close to ours."""
    if not is_accuracy:
        return LOSS_MARGIN * abs(draws.center)
    return min(ACCURACY_MARGIN, SHARE_OF_ROOM * min(draws.center, 1 - draws.center))


def _p_value(published: Sequence[float], ours: Sequence[Draws]) -> float:
    """Return Bonferroni's p-value of all numbers together."""
    least = min(draws.p_value(value) for value, draws in zip(published, ours, strict=True))
    return min(1.0, len(ours) * least)
