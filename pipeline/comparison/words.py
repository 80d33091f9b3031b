"""An answer in sentences that a person can repeat: what is better, by how much, how sure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from pipeline.comparison.cells import text
from pipeline.comparison.comparison import Answer, Chosen, Comparison, Row, Verdict
from pipeline.comparison.notes import MAX_SEEDS
from pipeline.comparison.statistics import CONFIDENCE
from pipeline.comparison.units import Units, metric_name, p_text

__all__ = ["method", "sentences"]

MAX_TOLD = 5
"""Rows of one verdict that are told one by one; of more, the extremes."""

SETTLED = (Verdict.BETTER, Verdict.WORSE, Verdict.SAME)


def sentences(answer: Answer) -> list[str]:
    """Return the answer: key by key, cell by cell, and what validation chose."""
    speaker = _Speaker(answer)
    said: list[str] = []
    for effect in answer.effects:
        others = [name for key, name in answer.cells.names.items() if key not in effect.keys]
        said += speaker.of(effect, _averaged([*others, *answer.averaged_over]))
    by_cell = "cell by cell, " if answer.effects else ""
    said += speaker.of(answer.cells, _averaged(answer.averaged_over) or by_cell)
    return [_capital(it) for it in said + (_chosen(answer.chosen) if answer.chosen else [])]


def _averaged(names: Sequence[str]) -> str:
    """Return how a sentence begins that is about means over other keys; "" without any."""
    return f"averaged over {', '.join(names)}, " if names else ""


def _capital(sentence: str) -> str:
    """Return a sentence with a capital, unless it begins with a name such as loss=ce."""
    first = sentence.split(maxsplit=1)[0]
    return sentence if "=" in first else sentence[0].upper() + sentence[1:]


def method(answer: Answer) -> str:
    """Return how the verdicts come about, in one sentence or two."""
    units = Units(answer.metric)
    alpha = 1 - CONFIDENCE
    return (
        f"± and intervals: {CONFIDENCE:.0%}, Student's t over seeds. Differences: to the baseline, "
        "seed by seed. p: paired t-test, adjusted for the number of rows (Holm). better, worse: "
        f"p < {alpha:.2g}; same: the interval lies within ±{units.size(answer.margin)}."
    )


class _Speaker:
    """Says what the rows of one answer are."""

    def __init__(self, answer: Answer) -> None:
        self._metric = metric_name(answer.metric)
        self._units = Units(answer.metric)
        self._higher_is_better = answer.higher_is_better

    def of(self, comparison: Comparison, where: str = "") -> list[str]:
        """Return the sentences of a comparison; `where` begins the first."""
        others = [row for row in comparison.rows if row is not comparison.baseline]
        if not others:
            return [self._alone(comparison.baseline)]
        settled = [row for row in others if row.verdict in SETTLED]
        said = [self._settled(row, comparison) for row in self._told(settled)]
        for verdict, tell in ((Verdict.UNDECIDED, self._open), (Verdict.INCOMPLETE, self._lacking)):
            rows = [row for row in others if row.verdict is verdict]
            if rows:
                said.append(tell(rows, comparison))
        if len(others) > MAX_TOLD:
            said.insert(0, self._counts(others, comparison))
        return [where + said[0], *said[1:]]

    def _alone(self, row: Row) -> str:
        mean, units = row.mean, self._units
        ends = f"{units.value(mean.low)} to {units.value(mean.high)}"
        how_sure = f" ({CONFIDENCE:.0%} interval {ends}, {len(row.scores)} seeds)"
        interval = "" if math.isnan(mean.low) else how_sure
        return (
            f"{self._metric} is {units.value(mean.value)}{interval}: there is only one cell, so "
            "nothing to compare it with."
        )

    def _counts(self, rows: Sequence[Row], comparison: Comparison) -> str:
        counts = Counter(row.verdict for row in rows)
        words = [f"{count} {verdict}" for verdict, count in counts.most_common()]
        base = text(comparison.baseline.values, comparison.names)
        return f"of {len(rows)} rows beside the baseline, {base}: {', '.join(words)}."

    def _told(self, settled: Sequence[Row]) -> Sequence[Row]:
        """Return the rows that get a sentence each: of many, the best and the worst."""
        if len(settled) <= MAX_TOLD:
            return settled
        ranked = sorted(settled, key=lambda row: row.mean.value, reverse=self._higher_is_better)
        return [ranked[0], ranked[-1]]

    def _settled(self, row: Row, comparison: Comparison) -> str:
        first = text(row.values, comparison.names)
        second = text(comparison.baseline.values, comparison.names)
        difference, units = row.difference, self._units
        assert difference is not None
        assert row.p is not None
        value, low, high = difference.value, difference.low, difference.high
        if row.verdict is Verdict.WORSE:
            first, second, value, low, high = second, first, -value, -high, -low
        by_how_much = (
            f"its {self._metric} is {_higher(value, units)} ({CONFIDENCE:.0%} "
            f"interval {units.difference(low)} to {units.difference(high)}; "
            f"{difference.num_pairs} seeds, paired; {p_text(row.p)})"
        )
        if row.verdict is Verdict.SAME:
            margin = units.size(comparison.margin)
            return f"{first} is the same as {second} within ±{margin}: {by_how_much}."
        return f"{first} is better than {second}: {by_how_much}."

    def _open(self, rows: Sequence[Row], comparison: Comparison) -> str:
        """Say of rows together that nothing is decided."""
        units, base = self._units, text(comparison.baseline.values, comparison.names)
        listed = [f"{text(row.values, comparison.names)}{self._lead(row)}" for row in rows]
        if len(listed) > MAX_TOLD:
            listed = [*listed[: MAX_TOLD - 1], f"{len(listed) - MAX_TOLD + 1} more"]
        needed = [row.seeds_needed for row in rows if row.seeds_needed is not None]
        how_many = (
            f"; {max(needed)} seeds would tell {units.size(comparison.margin)}"
            if len(needed) == len(rows) and max(needed) <= MAX_SEEDS
            else ""
        )
        return f"not decided against {base}: {', '.join(listed)}{how_many}."

    def _lead(self, row: Row) -> str:
        """Return by how much a row's metric is higher, in brackets."""
        difference = row.difference
        if difference is None or math.isnan(difference.value):
            return " (no seed in common)"
        return f" ({self._units.with_half(difference)}{self._units.points})"

    def _lacking(self, rows: Sequence[Row], comparison: Comparison) -> str:
        if comparison.baseline.holes:
            base = text(comparison.baseline.values, comparison.names)
            return f"nothing is said of any: runs of the baseline, {base}, are missing."
        listed = [text(row.values, comparison.names) for row in rows[:MAX_TOLD]]
        more = "" if len(rows) == len(listed) else f" and {len(rows) - len(listed)} more"
        return f"nothing is said of {', '.join(listed)}{more}, whose runs are not all finished."


def _higher(difference: float, units: Units) -> str:
    """Return a difference in words, such as "0.43 points higher"; "equal" if it is none."""
    if difference == 0:
        return "equal"
    return f"{units.size(difference)} {'higher' if difference > 0 else 'lower'}"


def _chosen(chosen: Chosen) -> list[str]:
    """Return what validation chose, its test result, and how much of it is luck."""
    row, units = chosen.row, Units(chosen.metric)
    said: list[str] = []
    if chosen.num_cells > 1:
        said.append(
            f"validation chooses {text(row.values)}: {units.value(row.mean.value)}, the best of "
            f"{chosen.num_cells} means{_luck(chosen, units)}."
        )
    if not math.isnan(row.test.value):
        name = metric_name(f"test/{chosen.metric.rpartition('/')[2]}")
        said.append(f"its {name} is {units.plus_minus(row.test)}{units.percent}.")
    if len(row.scores) > 1:
        best = units.value(chosen.best_run.metrics[chosen.metric])
        said.append(
            f"its best single run has {best} on validation, as one expects of the best of "
            f"{len(row.scores)} ({units.value(chosen.expected_best)}): report the mean."
        )
    return said


def _luck(chosen: Chosen, units: Units) -> str:
    """Return, in brackets, the average of all means, and the best of as many that are alike."""
    average = f"their average is {units.value(chosen.mean_of_cells)}"
    if math.isnan(chosen.expected_if_alike):
        return f" ({average})"
    by_chance = units.value(chosen.expected_if_alike)
    return f" ({average}; if all were alike, the best would be at {by_chance})"
