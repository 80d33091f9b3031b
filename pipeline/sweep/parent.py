"""What MLflow shows of a sweep's parent run: which values varied, how long it was worked on."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.comparison.cells import varied_keys
from pipeline.sweep.grid import Grid
from pipeline.tracking.provenance import params
from pipeline.tracking.record import RunResult, now_ms

__all__ = ["time_paused", "varied_params"]

MAX_VALUES = 8
"""Values of one param that are listed in full."""


def varied_params(grid: Grid) -> dict[str, str]:
    """Return what varies in a grid, under the names of its runs' params, with all values.

    An example is {"loss.name": "mse, ce, nll", "seed": "0-4"}; of a search {"optimizer.lr":
    "0.01 to 1, log"}. It is empty for another sweeper that asks for runs as it goes.
    """
    if grid.search:
        return {key: str(dimension) for key, dimension in grid.search.dimensions.items()}
    seen: set[str] = set()
    table: list[dict[str, str]] = []
    for config, overrides in zip(grid.configs, grid.overrides, strict=False):
        chosen = {item for item in overrides if not item.startswith("seed=")}
        if not table or not chosen <= seen:  # one config for every value is enough
            seen |= chosen
            table.append(params(config))
    varied = {key: [row[key] for row in table if key in row] for key in varied_keys(table)}
    seeds = [str(config.seed) for config in grid.configs]
    if len(set(seeds)) > 1:
        varied["seed"] = seeds
    return {key: _listed(list(dict.fromkeys(values))) for key, values in varied.items()}


def _listed(values: Sequence[str]) -> str:
    """Return values in a short form.

    >>> _listed(["0", "1", "2"]), _listed(["mse", "ce"])
    ('0-2', 'mse, ce')
    """
    if len(values) > 2 and all(value.isdecimal() for value in values):
        numbers = [int(value) for value in values]
        if numbers == list(range(numbers[0], numbers[0] + len(numbers))):
            return f"{numbers[0]}-{numbers[-1]}"
    if len(values) <= MAX_VALUES:
        return ", ".join(values)
    return f"{', '.join(values[:3])}, …, {values[-1]} ({len(values)} values)"


def time_paused(parent: RunResult, children: Sequence[RunResult]) -> int:
    """Return for how many milliseconds nobody worked on a sweep that goes on now.

    Earlier sessions count as long as they took, of those that were killed only what is known: the
    time in which a run trained that came to its end.

    Args:
        parent: the sweep.
        children: its runs so far.
    """
    worked, reached = 0, parent.started_ms
    for run in sorted(children, key=lambda run: run.started_ms):
        if run.seconds is not None:
            ended = run.started_ms + round(run.seconds * 1000)
            worked += max(0, ended - max(reached, run.started_ms))
            reached = max(reached, ended)
    if parent.seconds is not None:  # of the sessions that came to their end
        worked = max(worked, round(parent.seconds * 1000))
    return max(0, now_ms() - parent.started_ms - worked)
