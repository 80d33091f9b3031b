"""The figures of a study: what its seeds gave, and what was published, point by point."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from pipeline.report.study_figures import Band, Panel, draw_panels
from pipeline.reproduce.answers import Item, items_of
from pipeline.reproduce.bands import draw_bands
from pipeline.reproduce.runs import StudyRuns
from pipeline.reproduce.study import Curves, Study, Where

__all__ = ["draw_study"]

PUBLISHED = "published"


def draw_study(folder: Path, study: Study, runs: StudyRuns) -> list[Path]:
    """Draw all figures of a study into PNG files; return them in the study's order."""
    drawn: list[Path] = []
    if study.bands and len(runs.missing) < runs.num_runs:
        drawn.append(folder / f"{runs.name}.png")
        draw_bands(drawn[-1], study, study.bands, runs)
    for number, figure in enumerate(study.figures, start=1):
        suffix = f"_{number}" if len(study.figures) > 1 else ""
        drawn.append(folder / f"{runs.name}{suffix}.png")
        panels = [_panel(study, figure, metric, runs) for metric in figure.metrics]
        draw_panels(drawn[-1], panels, title=figure.title)
    return drawn


def _panel(study: Study, figure: Curves, metric: str, runs: StudyRuns) -> Panel:
    of_line = {
        label: _curves(runs, where, metric)
        if figure.along == "epoch"
        else _points(runs, where, figure, metric)
        for label, where in figure.lines.items()
    }
    longest = max((len(seed) for seeds in of_line.values() for seed in seeds), default=1)
    x = list(figure.at) if figure.along != "epoch" else list(range(1, longest + 1))
    items = [item for item in items_of(study) if item.entry.metric == metric]
    printed = {
        label: _printed(items, where, figure, len(x)) for label, where in figure.lines.items()
    }
    bands = [
        Band(label, _padded(seeds, len(x)), printed[label]) for label, seeds in of_line.items()
    ]
    if len(bands) > 1 and len({str(values) for values in printed.values()}) == 1:
        bands = [Band(band.label, band.values) for band in bands]
        shared = next(iter(printed.values()))
        bands += [Band(PUBLISHED, [], shared)] if shared else []
    name = metric.replace("/", " ")
    return Panel(
        name,
        figure.along if figure.along == "epoch" else figure.along.rpartition(".")[2],
        name,
        [float(place) for place in x],
        bands,
        x_scale=figure.x_scale,
        y_scale="log" if metric in figure.log else "linear",
    )


def _curves(runs: StudyRuns, where: Where, metric: str) -> list[list[float]]:
    return [curve or [] for curve in runs.curves(where, metric).values()]


def _points(runs: StudyRuns, where: Where, figure: Curves, metric: str) -> list[list[float]]:
    """Return the final values seed by seed, one for each place."""
    columns = [
        [curve[-1] if curve else math.nan for curve in runs.curves(cell, metric).values()]
        for cell in ({**where, figure.along: place} for place in figure.at)
    ]
    return [list(row) for row in zip(*columns, strict=True)]


def _padded(seeds: Sequence[Sequence[float]], length: int) -> list[list[float]]:
    return [[*seed, *[math.nan] * (length - len(seed))] for seed in seeds]


def _printed(
    items: Sequence[Item], where: Where, figure: Curves, length: int
) -> list[float] | None:
    """Return what was published for a line, NaN where nothing was, None if nothing at all."""
    if figure.along == "epoch":
        of_line = [it for it in items if it.entry.kind == "curve" and it.where == where]
        values = [float(value) for value in of_line[0].values[:length]] if of_line else []
        return _padded([values], length)[0] if values else None
    found = [_printed_at(items, {**where, figure.along: place}) for place in figure.at]
    return found if any(not math.isnan(value) for value in found) else None


def _printed_at(items: Sequence[Item], cell: Where) -> float:
    for item in items:
        if item.where.items() <= cell.items() and item.entry.kind != "curve":
            return float(item.values[0])
    return math.nan
