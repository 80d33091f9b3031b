"""What is asked of runs: the metric, the keys to compare by, the baseline, the margin."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.comparison.cells import Cell, Cells, short_names, text
from pipeline.config.options import one_of
from pipeline.config.schema import Config
from pipeline.errors import UserError
from pipeline.tracking.provenance import params
from pipeline.tracking.record import RunResult

__all__ = [
    "VALIDATION",
    "Metric",
    "Question",
    "baseline_values",
    "find_cell",
    "find_keys",
    "find_metric",
    "find_values",
]

VALIDATION = "val/accuracy"
"""What is compared by default, and what choices are made by."""

WITHOUT_VALIDATION = "test/accuracy"
"""What is compared by default where there are no validation examples."""

WORD = re.compile(r"(?:\[[^\]]*\]|[^\s,])+")
"""One of the values that are named, such as lr=0.1 or hidden=[100, 30]."""

MARGIN_ACCURACY = 0.002
"""0.2 points: ten of 5,000 validation examples, one of 500."""

MARGIN_SHARE = 0.01
"""The margin of other metrics, as a share of the baseline's mean."""


@dataclass(frozen=True)
class Question:
    """What a user can ask for; None is the default."""

    metric: str | None = None
    by: Sequence[str] | None = None
    """Keys, in full or as short as is clear; the others are averaged over."""
    baseline: str | None = None
    """Values such as "loss=mse lr=0.1"; those left out are the config's defaults."""
    margin: float | None = None
    """Differences smaller than this don't matter; > 0, in the metric's own unit."""

    def __post_init__(self) -> None:
        if self.margin is not None and not self.margin > 0:
            raise UserError(f"--margin {self.margin:g}: must be a number > 0.")


@dataclass(frozen=True)
class Metric:
    """What runs are compared by."""

    key: str

    @property
    def higher_is_better(self) -> bool:
        """Whether it is an accuracy; losses, counts and times are better when they are lower."""
        return self.name == "accuracy" or self.name.endswith("_accuracy")

    @property
    def name(self) -> str:
        """What is measured, such as "accuracy"."""
        return self.key.rpartition("/")[2]

    @property
    def split(self) -> str:
        """The examples that it is measured on, such as "val"."""
        return self.key.partition("/")[0]

    def on(self, split: str) -> str:
        """Return the key of the same metric on other examples."""
        return f"{split}/{self.name}"

    def better_by(self, difference: float) -> float:
        """Return by how much better a difference is; negative if it is worse."""
        return difference if self.higher_is_better else -difference

    def margin(self, baseline_mean: float) -> float:
        """Return the difference from which on it matters, if nobody says."""
        is_share = self.name.endswith("accuracy")
        return MARGIN_ACCURACY if is_share else MARGIN_SHARE * abs(baseline_mean)


def find_metric(asked: str | None, runs: Sequence[RunResult], keys: Sequence[str]) -> Metric:
    """Return the metric to compare by.

    Args:
        asked: what the user typed, if anything.
        runs: the finished ones.
        keys: what varied.

    Raises:
        UserError: the runs don't have it, or it means something else in each cell.
    """
    if asked is None:
        has_validation = all(VALIDATION in run.metrics for run in runs)
        return Metric(VALIDATION if has_validation else WITHOUT_VALIDATION)
    one_of("--metric", asked, _shared(runs))
    metric = Metric(asked)
    differing = [key for key in keys if key.startswith("loss.")]
    if metric.name.endswith("loss") and differing:
        raise UserError(
            f"--metric {asked}: the cells have losses of different kinds ({', '.join(differing)} "
            "varied), whose values can't be compared. Choose an accuracy, such as "
            f"--metric {metric.split}/accuracy, or runs of one loss."
        )
    return metric


def _shared(runs: Sequence[RunResult]) -> list[str]:
    """Return the metrics that all runs have."""
    return [key for key in sorted(runs[0].metrics) if all(key in run.metrics for run in runs)]


def find_keys(asked: Sequence[str], known: Sequence[str]) -> list[str]:
    """Return the keys that a user means, in full.

    Raises:
        UserError: one is none of those that varied.
    """
    names = {short: key for key, short in short_names(known).items()} | {key: key for key in known}
    for name in asked:
        one_of("--by", name, list(dict.fromkeys([*short_names(known).values(), *known])))
    return list(dict.fromkeys(names[name] for name in asked))


def baseline_values(asked: str | None, cells: Cells) -> dict[str, str] | None:
    """Return the values of the baseline, by key: what was asked for, else the config's defaults.

    Returns:
        None if nothing was asked for and no cell has the defaults: then it is the first.

    Raises:
        UserError: a key that didn't vary, or a value that no cell has.
    """
    defaults = params(Config())
    default = {key: defaults.get(key, "") for key in cells.keys}
    if asked is None:
        return default if any(cell.values == default for cell in cells.cells) else None
    return find_cell("--baseline", asked, cells, default).values


def find_cell(option: str, asked: str, cells: Cells, otherwise: dict[str, str]) -> Cell:
    """Return the cell that a user means.

    Args:
        option: whose value it is, for errors.
        asked: "loss=mse lr=0.1", or values alone where they are clear: "mse".
        cells: to choose from.
        otherwise: the values of keys that are not named; if no cell has them, any will do that
            leaves only one cell.

    Raises:
        UserError: no such cell, or several.
    """
    wanted = find_values(option, asked, cells)
    fitting = [
        cell
        for cell in cells.cells
        if all(cell.values[key] == value for key, value in wanted.items())
    ]
    if len(fitting) > 1:
        fitting = [cell for cell in fitting if cell.values == otherwise | wanted]
    if len(fitting) == 1:
        return fitting[0]
    known = "\n".join(f"  {text(cell.values)}" for cell in cells.cells[:10])
    problem = "is more than one cell" if wanted else "names no cell"
    raise UserError(f"{option} {asked!r}: {problem}, or none. Name one of:\n{known}")


def find_values(option: str, asked: str, cells: Cells) -> dict[str, str]:
    """Return the values that a user names, by key.

    Args:
        option: whose value it is, for errors.
        asked: "loss=mse lr=0.1", or values alone where they are clear: "mse".
        cells: that have them.

    Raises:
        UserError: a key that didn't vary, or a value that no cell has.
    """
    return dict(_pair(option, word, cells) for word in WORD.findall(asked))


def _pair(option: str, word: str, cells: Cells) -> tuple[str, str]:
    """Return the key and the value of a word, which may be the value alone."""
    name, equals, value = word.partition("=")
    values = {key: {cell.values[key] for cell in cells.cells} for key in cells.keys}
    if not equals:
        having = [key for key in cells.keys if word in values[key]]
        if len(having) == 1:
            return having[0], word
        one_of(option, word, sorted({value for of_key in values.values() for value in of_key}))
        raise UserError(f"{option} {word}: is a value of {' and '.join(having)}. Say KEY={word}.")
    short = {short: key for key, short in short_names(cells.keys).items()}
    one_of(option, name, [*short, *cells.keys])
    key = short.get(name, name)
    by_typed = {known.replace(" ", ""): known for known in sorted(values[key])}
    one_of(f"{option} {name}", value.replace(" ", ""), by_typed)
    return key, by_typed[value.replace(" ", "")]
