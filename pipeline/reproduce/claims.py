"""Claims: statements about which runs are higher, each a test that the runs decide.

Differences are paired by seed: two runs of one seed have their random draws in common, as far as
their networks and data allow. What is not surely one way or the other is not decided.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby

from scipy import stats  # pyright: ignore[reportMissingTypeStubs]

from pipeline.reproduce.answers import Item, at_epoch, is_accuracy, items_of
from pipeline.reproduce.estimate import MIN_SEEDS, ROUNDING, Draws, Interval
from pipeline.reproduce.runs import StudyRuns
from pipeline.reproduce.study import Claim, Comparison, Spread, Study, Where, Worth
from pipeline.reproduce.verdicts import holm

__all__ = ["Decision", "Judgement", "judge_claims", "printed"]


class Decision(StrEnum):
    """What the runs say of a claim."""

    SUPPORTED = "supported"
    CONTRADICTED = "contradicted"
    UNDECIDED = "not decided"
    TOO_FEW = "too few seeds"
    MISSING = "runs missing"


@dataclass(frozen=True)
class Judgement:
    """A claim, what the runs say of it, and the numbers."""

    statement: str
    decision: Decision
    evidence: str
    printed: str = ""
    """What the published numbers themselves say of it, where they do."""


@dataclass(frozen=True)
class _Lead:
    """By how much one side is higher than the other, seed by seed, and how sure that is."""

    text: str
    lead: Draws
    by: float

    @property
    def p_higher(self) -> float:
        """The chance of such leads if the one side is not higher by `by`."""
        return self._tail(self.lead.mean - self.by)

    @property
    def p_lower(self) -> float:
        """The chance of such leads if it is higher by no less than `by`."""
        return self._tail(self.by - self.lead.mean)

    @property
    def interval(self) -> Interval:
        """The 95 % interval of the mean."""
        return self.lead.mean_interval()

    @property
    def center(self) -> float:
        """The mean."""
        return self.lead.mean

    def _tail(self, distance: float) -> float:
        scale = self.lead.deviation / math.sqrt(len(self.lead.values))
        if scale < ROUNDING**2:  # all seeds gave the same
            return 0.0 if distance > ROUNDING else 1.0
        return float(stats.t.sf(distance / scale, len(self.lead.values) - 1))


@dataclass(frozen=True)
class _SpreadOf:
    """The standard deviation of a cell's runs, and how sure it is above a bound (chi-square)."""

    text: str
    lead: Draws
    by: float

    @property
    def p_higher(self) -> float:
        """The chance of such a spread if the true one is no more than the bound."""
        return float(stats.chi2.sf(self._statistic, self._freedom))

    @property
    def p_lower(self) -> float:
        """The chance of such a spread if the true one is no less than the bound."""
        return float(stats.chi2.cdf(self._statistic, self._freedom))

    @property
    def interval(self) -> Interval:
        """The 95 % interval of the standard deviation."""
        quantiles = stats.chi2.ppf([0.975, 0.025], self._freedom)
        return Interval(*(self.center * math.sqrt(self._freedom / one) for one in quantiles))

    @property
    def center(self) -> float:
        """The standard deviation of the seeds."""
        return self.lead.deviation

    @property
    def _freedom(self) -> int:
        return len(self.lead.values) - 1

    @property
    def _statistic(self) -> float:
        return self._freedom * (self.lead.deviation / self.by) ** 2


_Part = _Lead | _SpreadOf


def judge_claims(study: Study, runs: StudyRuns) -> list[Judgement]:
    """Decide the claims of a study together: Holm's procedure keeps the chance of an error at 5 %.

    A claim is supported if all of its comparisons surely hold, and contradicted if one of them is
    surely the other way round.
    """
    leads = [[_part(runs, part) for part in claim.all] for claim in study.claims]
    lacking = [_what_lacks(of_claim) for of_claim in leads]
    p_values = [
        _p_values(of_claim) for of_claim, lack in zip(leads, lacking, strict=True) if lack is None
    ]
    decided = map(_decide, p_values, holm([min(1.0, 2 * min(pair)) for pair in p_values]))
    return [
        Judgement(
            claim.says, lack or next(decided), _evidence(claim, of_claim), printed(study, claim)
        )
        for claim, of_claim, lack in zip(study.claims, leads, lacking, strict=True)
    ]


def _what_lacks(leads: Sequence[_Part]) -> Decision | None:
    if not all(one.lead.is_complete for one in leads):
        return Decision.MISSING
    few = any(len(one.lead.values) < MIN_SEEDS for one in leads)
    return Decision.TOO_FEW if few else None


def _p_values(leads: Sequence[_Part]) -> tuple[float, float]:
    """Return those of all comparisons holding, and of at least one that is the other way round."""
    holds = max(one.p_higher for one in leads)
    reversed_ = min(1.0, len(leads) * min(one.p_lower for one in leads))
    return holds, reversed_


def _decide(p_values: tuple[float, float], level: float) -> Decision:
    p_holds, p_reversed = p_values
    if min(1.0, 2 * min(p_holds, p_reversed)) > level:
        return Decision.UNDECIDED
    return Decision.SUPPORTED if p_holds < p_reversed else Decision.CONTRADICTED


def _part(runs: StudyRuns, part: Comparison | Spread) -> _Part:
    sides = [part.spread] if isinstance(part, Spread) else [part.higher, part.lower]
    cells = [side for side in sides if isinstance(side, dict)]
    seeds = sorted({seed for cell in cells for seed in runs.curves(cell, part.worth.metric)})
    values = [_values(runs, side, part.worth, seeds) for side in sides]
    if isinstance(part, Spread):
        text = f"standard deviation over the seeds of {_side(part.spread)}"
        return _SpreadOf(text, Draws.over(values[0]), part.exceeds)
    leads = [
        None if high is None or low is None else high - low
        for high, low in zip(*values, strict=True)
    ]
    return _Lead(f"{_side(part.higher)} less {_side(part.lower)}", Draws.over(leads), part.by)


def _values(
    runs: StudyRuns, side: Where | float, worth: Worth, seeds: Sequence[int]
) -> list[float | None]:
    """Return what a cell is worth, seed by seed, or a number as often."""
    if not isinstance(side, dict):
        return [side] * len(seeds)
    curves = runs.curves(side, worth.metric)
    others = runs.curves(side, worth.less) if worth.less else {}
    return [_worth(curves.get(seed), others.get(seed), worth) for seed in seeds]


def _worth(
    curve: Sequence[float] | None, other: Sequence[float] | None, worth: Worth
) -> float | None:
    value = at_epoch(curve, worth.epoch)
    if value is None:
        return None
    if worth.less:
        subtracted = at_epoch(other, worth.epoch)
        return None if subtracted is None else value - subtracted
    if worth.share_of_epoch:
        whole = at_epoch(curve, worth.share_of_epoch)
        return value / whole if whole else None
    return value


def _side(side: Where | float) -> str:
    if not isinstance(side, dict):
        return f"{side:g}"
    return ", ".join(str(value) for value in side.values()) or "all runs"


def _evidence(claim: Claim, parts: Sequence[_Part]) -> str:
    """Return what was measured: every part with its 95 % interval, under what it measures."""
    measures = [_measure(part.worth) for part in claim.all]
    found = [
        (measure, f"{one.text}: {_part_text(one, points=measure.endswith('points'))}")
        for measure, one in zip(measures, parts, strict=True)
        if one.lead.values and not math.isnan(one.center)
    ]
    if not found:
        return "too few runs" if any(one.lead.values for one in parts) else "no runs"
    grouped = groupby(found, key=lambda pair: pair[0])
    return "; ".join(f"{what}: {'; '.join(text for _, text in of)}" for what, of in grouped)


def _measure(worth: Worth) -> str:
    what = worth.metric.replace("/", " ")
    if worth.less:
        what += f" less {worth.less.replace('/', ' ')}"
    if worth.share_of_epoch:
        what = f"share of the {what} at the end of epoch {worth.share_of_epoch}"
    when = f" after epoch {worth.epoch}" if worth.epoch else ""
    points = is_accuracy(worth.metric) and not worth.share_of_epoch
    return f"{what}{when}{', in points' if points else ''}"


def _part_text(one: _Part, *, points: bool) -> str:
    scale, digits = (100, 2) if points else (1, 4)
    sign = "" if isinstance(one, _SpreadOf) else "+"
    text = f"{scale * one.center:{sign}.{digits}f}"
    if len(one.lead.values) > 1:
        ends = [f"{scale * end:.{digits}f}" for end in (one.interval.lower, one.interval.upper)]
        text += f" [{', '.join(ends)}]"
    return text + (f" (must exceed {scale * one.by:g})" if one.by else "")


def printed(study: Study, claim: Claim) -> str:
    """Return what the published numbers say of a claim; "" if it compares what wasn't printed."""
    items = items_of(study)
    texts: list[str] = []
    holds = True
    for part in claim.all:
        if isinstance(part, Spread):
            return ""
        high, low = (_printed_value(items, side, part.worth) for side in (part.higher, part.lower))
        if high is None or low is None:
            return ""
        holds &= high - low > part.by
        texts.append(f"{high - low:+.4f}")
    return f"{'say so' if holds else 'contradict it'}: {'; '.join(texts)}"


def _printed_value(items: Sequence[Item], side: Where | float, worth: Worth) -> float | None:
    if not isinstance(side, dict):
        return side
    for item in items:
        is_meant = item.entry.metric == worth.metric and item.where.items() <= side.items()
        if is_meant and (item.entry.kind == "curve" or worth == Worth(metric=worth.metric)):
            return _worth(item.values, None, worth)
    return None
