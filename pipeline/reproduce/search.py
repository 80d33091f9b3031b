"""Protocol search: of all that an underspecified protocol may mean, what fits what was published?

Every combination of the options that a study lists under `search` is trained, with few seeds. A
combination gets a score, how likely the published numbers are by it: the logarithm of the density
of one more of our runs at them (Student's t), all cells together. The more combinations are tried,
the better the best one fits by chance alone; so they are also chosen on one half of the numbers and
judged on the other half.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from pipeline.report.table import Table
from pipeline.reproduce.answers import Item, draws_of, is_accuracy, items_of
from pipeline.reproduce.runs import StudyRuns, compose_jobs, find_runs, train_missing
from pipeline.reproduce.study import Study
from pipeline.reproduce.verdicts import Verdict, judge_all

__all__ = ["HEAD", "Tried", "combinations", "rank", "search"]

log = logging.getLogger("pipeline")

SEEDS = 5
"""How many seeds train each combination, at most: enough for a spread, and quick."""

MIN_SPREAD = {True: 0.002, False: 0.01}
"""The least spread that a number is taken to have: what is printed once can't be known better. Of
an accuracy, and of a loss as a share of it."""

SHOWN = 10
"""Readings in a table, the likeliest ones."""

HEAD = (
    "# Which protocol was it?\n\nWhat a source leaves open may have been done in several ways. "
    "Every combination of those that a study lists was trained, with "
    f"{SEEDS} seeds each, and gets a score: the logarithm of the density, by Student's t, of one "
    "more of our runs at each published number, added up; of a curve, the mean of its epochs'. No "
    f"number is taken to spread by less than {MIN_SPREAD[True]} of an accuracy or "
    f"{MIN_SPREAD[False]:.0%} of a loss. Numbers of the same run are not independent, so the score "
    "is no likelihood, and differences of a few units decide nothing. The more readings are tried, "
    "the better the best one fits by luck alone, so readings are also chosen on half of the "
    "numbers and judged on the other half.\n\n"
)

EXPERIMENT = "search"


@dataclass(frozen=True)
class Tried:
    """A combination of options, and how well the published numbers fit it."""

    options: dict[str, str]
    scores: Sequence[float]
    """How likely each published number is by it: the logarithm of a density."""
    rejected: str
    """How many of the numbers differ by the report's rule, or that runs are missing."""

    @property
    def score(self) -> float:
        """The sum over all published numbers; -inf where runs are missing."""
        return math.fsum(self.scores)

    def part(self, half: int) -> float:
        """Return the sum over every other number, from the first (0) or the second (1) on."""
        return math.fsum(self.scores[half::2])


def combinations(study: Study) -> Iterator[tuple[dict[str, str], list[str]]]:
    """Yield every combination of a study's options with what it overrides."""
    for chosen in product(*(options.items() for options in study.search.values())):
        names = dict(zip(study.search, (name for name, _ in chosen), strict=True))
        yield names, [override for _, overrides in chosen for override in overrides]


def search(name: str, study: Study, overrides: Sequence[str]) -> str:
    """Train all combinations of a study; return what was found, as Markdown."""
    seeds = min(SEEDS, study.seeds)
    tried: list[Tried] = []
    every = list(combinations(study))
    log.info("%s: %d readings of the protocol", name, len(every))
    jobs = {
        number: compose_jobs(f"{name}_{EXPERIMENT}", _as(study, seeds, said), overrides)
        for number, (_, said) in enumerate(every)
    }
    together = [job for of_one in jobs.values() for job in of_one]
    found = find_runs(f"{name}_{EXPERIMENT}", together)
    log.info("%s: %d of its runs are missing", name, len(found.missing))
    if found.missing:
        train_missing(found, None)
        found = find_runs(f"{name}_{EXPERIMENT}", together)
    results = iter(found.results)
    for number, (names, _) in enumerate(every):
        runs = StudyRuns(found.name, jobs[number], [next(results) for _ in jobs[number]])
        tried.append(_judge(study, names, runs))
    return _tell(study, rank(tried))


def _as(study: Study, seeds: int, said: Sequence[str]) -> Study:
    grids = {name: [*grid, *said] for name, grid in study.grids.items()}
    return study.model_copy(
        update={"grids": grids, "seeds": seeds, "readings": {}, "claims": [], "figures": []}
    )


def _judge(study: Study, names: dict[str, str], runs: StudyRuns) -> Tried:
    items = items_of(study)
    drawn = [draws_of(runs, item) for item in items]
    scores = [_score(item, runs) for item in items]
    numbers = [(item.values, ours) for item, ours in zip(items, drawn, strict=True)]
    answers = judge_all(numbers, are_accuracies=[is_accuracy(it.entry.metric) for it in items])
    rejected = sum(answer.verdict.rejects for answer in answers)
    is_judged = not any(answer.verdict is Verdict.MISSING for answer in answers)
    return Tried(names, scores, f"{rejected} of {len(items)}" if is_judged else Verdict.MISSING)


def _score(item: Item, runs: StudyRuns) -> float:
    """Return the log density of a number; of a curve the mean, its epochs not being independent."""
    drawn = draws_of(runs, item)
    if not all(draws.is_complete and len(draws.values) > 1 for draws in drawn):
        return -math.inf
    share = is_accuracy(item.entry.metric)
    return math.fsum(
        draws.log_density(value, MIN_SPREAD[share] * (1 if share else value)) / len(drawn)
        for value, draws in zip(item.values, drawn, strict=True)
    )


def rank(tried: Sequence[Tried]) -> list[Tried]:
    """Return what was tried, the likeliest first."""
    return sorted(tried, key=lambda it: it.score, reverse=True)


def _tell(study: Study, ranked: Sequence[Tried]) -> str:
    rows = [[*it.options.values(), _against(it, ranked[0]), it.rejected] for it in ranked[:SHOWN]]
    header = [*study.search, "score against the best", "numbers rejected"]
    table = Table(header, rows, " " * len(study.search) + "rr")
    return (
        f"## {study.title}\n\n{len(ranked)} readings were tried; the likeliest:\n\n"
        f"{table.markdown()}\n\n{_held_out(ranked)}\n"
    )


def _against(tried: Tried, best: Tried) -> str:
    return "" if math.isinf(tried.score) else f"{tried.score - best.score + 0.0:.1f}"


def _held_out(ranked: Sequence[Tried]) -> str:
    """Say how what is the best on half of the numbers does on the other half."""
    if len(ranked[0].scores) < 2:
        return "There is only one number, so none is left to judge the choice by."
    lines: list[str] = []
    for half in (0, 1):
        best = max(ranked, key=lambda it: it.part(half))
        others = sorted((it.part(1 - half) for it in ranked), reverse=True)
        place = others.index(best.part(1 - half)) + 1
        said = ", ".join(f"{key}: {value}" for key, value in best.options.items())
        lines.append(
            f"- chosen on the {('odd', 'even')[half]} numbers: {said}; on the others it is number "
            f"{place} of {len(ranked)}"
        )
    return "Chosen on half of the numbers, judged on the other half:\n\n" + ("\n".join(lines))
