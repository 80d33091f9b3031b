"""The comparison of a grid's cells, or of one key's values averaged over the others."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pipeline.comparison.cells import Hole
from pipeline.comparison.statistics import Difference, Interval
from pipeline.tracking.record import RunResult

__all__ = ["Answer", "Chosen", "Comparison", "Row", "Verdict"]


class Verdict(StrEnum):
    """What the differences to the baseline say of a row."""

    BASELINE = "baseline"
    BETTER = "better"
    WORSE = "worse"
    SAME = "same"
    """Within the margin, as far as one can tell."""
    UNDECIDED = "not decided"
    INCOMPLETE = "incomplete"
    """Runs of it, or of the baseline, are missing: nothing is said."""


@dataclass(frozen=True)
class Row:
    """A cell, or a value of a key averaged over the other keys."""

    values: dict[str, str]
    runs: list[RunResult]
    """The finished runs behind it."""
    holes: list[Hole]
    scores: dict[int, float]
    """The metric by seed."""
    mean: Interval
    """The mean of the metric over seeds."""
    interquartile_mean: Interval
    test: Interval
    """The same metric on the test examples."""
    gap: Interval
    """How much better the metric is on the training examples than on the test examples."""
    seconds: float
    """A run's share of the training time, on average."""
    difference: Difference | None = None
    """The metric less the baseline's, seed by seed; None of the baseline and over holes."""
    p: float | None = None
    """The p-value of the difference, adjusted for the number of comparisons (Holm)."""
    probability_of_improvement: float | None = None
    """That a run of it does better than one of the baseline."""
    verdict: Verdict = Verdict.UNDECIDED
    seeds_needed: int | None = None
    """Seeds in all that would tell a difference of the margin; None if that isn't known."""


@dataclass(frozen=True)
class Comparison:
    """Rows beside a baseline."""

    keys: list[str]
    names: dict[str, str]
    """What each key is called in short."""
    rows: list[Row]
    """In the order of the grid."""
    baseline: Row
    """One of the rows."""
    margin: float
    """Differences smaller than this don't matter."""


@dataclass(frozen=True)
class Chosen:
    """The cell with the best mean on the validation examples, and what one must know of it."""

    metric: str
    """What it was chosen by."""
    row: Row
    num_cells: int
    """As many it was chosen from."""
    mean_of_cells: float
    expected_if_alike: float
    """The highest mean that one would expect of so many cells if there were no difference."""
    best_run: RunResult
    """Its best run on the validation examples."""
    expected_best: float
    """What the best of so many runs of it is expected to reach."""


@dataclass(frozen=True)
class Answer:
    """All that runs say on the question which choice is better, and by how much."""

    title: str
    metric: str
    higher_is_better: bool
    margin: float
    """Differences smaller than this don't matter."""
    cells: Comparison
    """Cell by cell."""
    effects: list[Comparison]
    """Key by key, averaged over the others; empty if only one key varied."""
    averaged_over: list[str]
    """The keys that vary but weren't asked for, by the names that are shown."""
    chosen: Chosen | None
    """None if nothing can be chosen: no validation examples, or no complete cell."""
    holes: list[Hole]
    notes: list[str]
    """What a reader must know: repeated or differing runs, too few seeds, …"""
    commands: dict[str, str]
    """What one can run next by what it is for, such as "more seeds"."""
    seeds: list[int]
