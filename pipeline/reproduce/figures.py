"""The figures of a study: what its seeds gave, and what was published, point by point."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
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
        suffix = "_bands" if study.figures else ""
        drawn.append(folder / f"{runs.name}{suffix}.png")
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
    items = [item for item in items_of(study) if item.entry.metric == metric]
    printed = {label: _printed(items, where, figure) for label, where in figure.lines.items()}
    x = list(figure.at) if figure.along != "epoch" else _epochs(of_line, printed)
    bands = [
        Band(label, _at(x, seeds, figure), _printed_band(x, printed[label], figure))
        for label, seeds in of_line.items()
    ]
    if len(bands) > 1 and len({str(band.published) for band in bands}) == 1:
        shared = bands[0].published
        bands = [Band(band.label, band.values) for band in bands]
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


def _epochs(
    of_line: Mapping[str, Sequence[Sequence[float]]], printed: Mapping[str, Sequence[float]]
) -> list[float]:
    """Return the epochs at whose end anything is known, at least the first."""
    curves = [*(seed for seeds in of_line.values() for seed in seeds), *printed.values()]
    known = {
        epoch
        for curve in curves
        for epoch, value in enumerate(curve, start=1)
        if not math.isnan(value)
    }
    return sorted(known) or [1]


def _at(x: Sequence[float], curves: Sequence[Sequence[float]], figure: Curves) -> list[list[float]]:
    """Return curves at the panel's places, NaN where they end before."""
    if figure.along != "epoch":
        return [list(curve) for curve in curves]
    return [
        [curve[int(epoch) - 1] if len(curve) >= epoch else math.nan for epoch in x]
        for curve in curves
    ]


def _printed_band(
    x: Sequence[float], printed: Sequence[float], figure: Curves
) -> list[float] | None:
    return _at(x, [printed], figure)[0] if printed else None


def _printed(items: Sequence[Item], where: Where, figure: Curves) -> list[float]:
    """Return what was published for a line, NaN where nothing was; empty if nothing at all."""
    if figure.along == "epoch":
        of_line = [it for it in items if it.entry.kind == "curve" and it.where == where]
        return [float(value) for value in of_line[0].values] if of_line else []
    found = [_printed_at(items, {**where, figure.along: place}) for place in figure.at]
    return found if any(not math.isnan(value) for value in found) else []


def _printed_at(items: Sequence[Item], cell: Where) -> float:
    for item in items:
        if item.where.items() <= cell.items() and item.entry.kind != "curve":
            return float(item.values[0])
    return math.nan
