"""One line on the terminal for all runs of a group, or for a run alone."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.tracking.provenance import run_name

__all__ = ["headline", "spans"]

MAX_VALUES = 8
"""Values of one key that are listed in full."""


def headline(
    numbers: Sequence[int],
    total: int | None,
    overrides: Sequence[Sequence[str]],
    *,
    goes_on: bool = False,
) -> str:
    """Return which runs start, and over which values.

    >>> headline([0, 1], 2, [["loss=ce", "seed=0"], ["loss=ce", "seed=1"]])
    'runs 1-2 of 2 train together: loss=ce seed=0,1'

    Args:
        numbers: of the runs in their sweep, from 0.
        total: how many runs the sweep has; None if nobody knows yet.
        overrides: of every run.
        goes_on: they were interrupted and go on from a checkpoint.
    """
    of_total = f" of {total}" if total else ""
    if len(numbers) > 1:
        who = f"runs {spans(numbers)}{of_total} train together"
    elif goes_on:
        who = f"run {spans(numbers)}{of_total} goes on"
    else:
        who = f"run {spans(numbers)}/{total}" if total else f"run {spans(numbers)}"
    return f"{who}: {run_name(_merge(overrides))}"


def spans(numbers: Sequence[int]) -> str:
    """Return job numbers as people count them, from 1, in the shortest form.

    >>> spans([0, 1, 2, 5])
    '1-3,6'
    """
    found: list[list[int]] = []
    for number in numbers:
        if found and found[-1][1] == number:
            found[-1][1] = number + 1
        else:
            found.append([number + 1, number + 1])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in found)


def _merge(overrides: Sequence[Sequence[str]]) -> list[str]:
    """Join the jobs' overrides, one entry per key."""
    values: dict[str, dict[str, None]] = {}
    for override in (entry for job in overrides for entry in job):
        key, _, value = override.partition("=")
        values.setdefault(key, {})[value] = None
    return [f"{key}={_shorten(list(distinct))}" for key, distinct in values.items()]


def _shorten(values: Sequence[str]) -> str:
    if len(values) <= MAX_VALUES:
        return ",".join(values)
    return ",".join([*values[:3], "…", values[-1]])
