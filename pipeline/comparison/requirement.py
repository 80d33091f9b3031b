"""Requirements such as "nll > mse", which continuous integration can hold a grid to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pipeline.comparison.cells import Cells, text
from pipeline.comparison.question import Metric, find_values
from pipeline.comparison.rows import Level, average
from pipeline.comparison.statistics import CONFIDENCE, holm, paired_difference
from pipeline.comparison.units import Units, metric_name, p_text
from pipeline.errors import UserError

__all__ = ["Outcome", "check"]


@dataclass(frozen=True)
class Outcome:
    """What became of one requirement."""

    is_met: bool
    statement: str
    """What was found, in words."""


def check(requirements: Sequence[str], cells: Cells, metric: Metric) -> list[Outcome]:
    """Return what became of each requirement: it is met if the difference is settled.

    Args:
        requirements: "A > B", A is better than B; each side names values, averaged over the
            combinations of the other keys that are whole on both.
        cells: of the runs.
        metric: what "better" is about.

    Raises:
        UserError: one can't be read, or names no value.
    """
    pairs = [_pair(requirement, cells) for requirement in requirements]
    differences = [
        paired_difference(first.scores(metric.key), second.scores(metric.key))
        for first, second in pairs
    ]
    adjusted = holm([difference.p for difference in differences])
    units = Units(metric.key)
    outcomes: list[Outcome] = []
    for requirement, pair, difference, p in zip(
        requirements, pairs, differences, adjusted, strict=True
    ):
        is_settled = p < 1 - CONFIDENCE and not any(cell.holes for it in pair for cell in it.cells)
        is_met = is_settled and metric.better_by(difference.value) > 0
        found = "holds" if is_met else "doesn't hold" if is_settled else "isn't settled"
        outcomes.append(
            Outcome(
                is_met,
                f"{requirement}: {found}: {metric_name(metric.key)} of {text(pair[0].values)} less "
                f"that of {text(pair[1].values)} is {units.difference(difference.value)}"
                f"{units.points} ({difference.num_pairs} seeds, {p_text(p)})",
            )
        )
    return outcomes


def _pair(requirement: str, cells: Cells) -> tuple[Level, Level]:
    """Return the two sides of a requirement."""
    option = f'--require "{requirement}"'
    better, arrow, worse = (part.strip() for part in requirement.partition(">"))
    if not (arrow and better and worse):
        raise UserError(f'{option}: must be "A > B", A is better than B.')
    first, second = (find_values(option, side, cells) for side in (better, worse))
    if first.keys() != second.keys():
        raise UserError(
            f"{option}: names {', '.join(first)} on one side and {', '.join(second)} on the other."
        )
    on_a_side = [
        cell for cell in cells.cells if {key: cell.values[key] for key in first} in (first, second)
    ]
    levels = average(replace(cells, cells=on_a_side), list(first))
    found = [next((it for it in levels if it.values == side), None) for side in (first, second)]
    if found[0] is None or found[1] is None:
        raise UserError(f"{option}: no runs are whole over both sides. Finish the sweep first.")
    return found[0], found[1]
