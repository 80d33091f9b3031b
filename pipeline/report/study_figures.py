"""What is drawn of a study: what several seeds gave, beside what was published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from pipeline.report import style

__all__ = ["Band", "Panel", "draw_panels", "draw_runs"]

_WIDTH = 9.6  # inches: of every figure, so that a page shows all with one text size
_SHADE = 0.18  # opacity of a range: several on top of each other stay readable
_GOLDEN = (5**0.5 - 1) / 2  # its multiples, modulo 1, keep neighbours apart

_Look = dict[str, Any]  # of a line, for matplotlib
_MEAN: _Look = {"lw": 1.5, "ms": 3.5, "mew": 0}
_PUBLISHED: _Look = {"ls": (0, (4, 2)), "lw": 0.9, "ms": 7, "mfc": "none", "mew": 1}
_PUBLISHED_RUN: _Look = {"color": "black", "ls": (0, (4, 1.5)), "lw": 2.2, "zorder": 3}


@dataclass(frozen=True)
class Band:
    """What several seeds gave, point by point, and what was published for the same.

    Attributes:
        label: Names the band in the legend; bands of one label share their colour in all panels.
        values: Seed by seed, each as long as the panel's x; NaN where a run is missing.
        published: As long as the panel's x, or None where nothing was published.
    """

    label: str
    values: Sequence[Sequence[float]]
    published: Sequence[float] | None = None


@dataclass(frozen=True)
class Panel:
    """The bands that share their axes.

    Attributes:
        title: Above the panel.
        x_label: Below the x axis.
        y_label: Beside the y axis.
        x: Where the bands have values, in any order: points are joined in rising order.
        bands: What to draw, in the legend's order.
        x_scale: With "categories", x is evenly spaced and labelled with its values.
        y_scale: A log scale leaves out what isn't positive.
    """

    title: str
    x_label: str
    y_label: str
    x: Sequence[float]
    bands: Sequence[Band]
    x_scale: Literal["linear", "categories"] = "linear"
    y_scale: Literal["linear", "log"] = "linear"


@style.styled()
def draw_panels(path: Path, panels: Sequence[Panel], *, title: str) -> Figure:
    """Draw panels, one or more, side by side above one legend, into a PNG file.

    A band is the line of its mean and the shaded range from its lowest to its highest seed.
    Published values are hollow markers on a dashed line in the same colour. Points that no seed
    has are gaps. More than three panels stand in two columns, row by row. Return the figure.
    """
    num_columns = len(panels) if len(panels) <= 3 else 2
    num_rows = -(-len(panels) // num_columns)
    figure = Figure((_WIDTH, 0.4 + 3.3 * num_rows), layout="constrained")
    bands = [band for panel in panels for band in panel.bands]
    labels = dict.fromkeys(band.label for band in bands)
    looks = {label: _look(index, len(style.COLORS)) for index, label in enumerate(labels)}
    for index, panel in enumerate(panels, start=1):
        axes = figure.add_subplot(num_rows, num_columns, index)
        axes.set_title(style.legible(panel.title, 120 // num_columns - 12))
        _draw_panel(axes, panel, looks)
    _explain(figure, bands, looks)
    style.save(figure, path, title)
    return figure


@style.styled()
def draw_runs(
    path: Path,
    curves: Sequence[Sequence[float]],
    groups: Sequence[int],
    *,
    published: Sequence[float],
    title: str,
    group_name: str,
    y_label: str,
) -> Figure:
    """Draw every run by epoch, coloured by its group, and its final value at the right.

    The published curve is bold, black and dashed; its final value crosses those of the runs.
    Return the figure.

    Args:
        path: The PNG to write.
        curves: Run by run, one value per epoch, of one epoch or more.
        groups: Run by run, the count that puts it into its group, such as of ignored digits.
        published: The published curve, one value per epoch; empty if there is none.
        title: Shown above the figure.
        group_name: What the groups count, its first word in the singular: "digit ignored" gives
            "1 digit ignored (10 runs)" and "2 digits ignored (5 runs)" in the legend.
        y_label: Beside the y axis.
    """
    figure = Figure((_WIDTH, 4.4), layout="constrained")
    by_epoch, at_the_end = figure.subplots(1, 2, width_ratios=[4, 1], sharey=True)
    finals = np.array([style.gaps(curve)[-1] for curve in curves])
    places = np.argsort(np.argsort(finals)) * _GOLDEN % 1  # dots of nearly one height stand apart
    for index, group in enumerate(sorted(set(groups))):
        look = _look(index, len(style.COLORS) - 1)  # black is the published curve's
        members = [run for run, of_run in enumerate(groups) if of_run == group]
        label = _group_label(group, len(members), group_name)
        dots: _Look = look | {"ls": "", "ms": 6, "mec": "white", "mew": 0.6}
        at_the_end.plot(places[members], finals[members], label=label, **dots)
        for run in members:
            _draw_run(by_epoch, curves[run], color=look["color"], lw=0.9, alpha=0.8)
    if published:
        _draw_run(by_epoch, published, **_PUBLISHED_RUN)
        line: _Look = _PUBLISHED_RUN | {"lw": 1.2, "zorder": 1}
        at_the_end.axhline(published[-1], label="published", **line)
    ticks = style.integer_ticks(1, max(map(len, [published, *curves])))
    by_epoch.set(xlabel="epoch", ylabel=style.legible(y_label), xticks=ticks, xmargin=0.02)
    at_the_end.set(xlabel="final value of each run", xlim=(-0.1, 1.1), xticks=[])
    style.add_legend(figure, *at_the_end.get_legend_handles_labels())
    style.save(figure, path, title)
    return figure


def _look(index: int, num_colors: int) -> _Look:
    """Return a colour and a marker; once all colours are used, they get other markers."""
    marker = (index + index // num_colors) % len(style.MARKERS)
    return {"color": style.COLORS[index % num_colors], "marker": style.MARKERS[marker]}


def _explain(figure: Figure, bands: Sequence[Band], looks: Mapping[str, _Look]) -> None:
    """Add the legend: every band, and what the kinds of drawing mean, as far as they come up."""
    measured = {band.label for band in bands if _is_measured(band)}
    entries: dict[str, Any] = {
        label: Line2D([], [], **look, **(_MEAN if label in measured else _PUBLISHED))
        for label, look in looks.items()
    }
    if any(band.published is not None for band in bands):
        line = Line2D([], [], color="0.4", marker="o", **_PUBLISHED)
        entries["dashed, hollow: published"] = line
    if any(_is_measured(band) and len(band.values) > 1 for band in bands):
        swatch = (Patch(color="0.4", alpha=_SHADE), Line2D([], [], color="0.4", lw=1.5))
        entries["line: mean, shaded: range of the seeds"] = swatch
    style.add_legend(figure, list(entries.values()), list(entries))


def _is_measured(band: Band) -> bool:
    return any(np.isfinite(seed).any() for seed in band.values)


def _draw_panel(axes: Axes, panel: Panel, looks: Mapping[str, _Look]) -> None:
    order = np.argsort(panel.x)
    x = np.array(panel.x, dtype=np.float64)[order]
    if panel.x_scale == "categories":
        axes.set_xticks(range(len(x)), map(_short, x))
        x = np.arange(len(x))
    elif all(value.is_integer() for value in x):
        axes.set_xticks(style.integer_ticks(x[0], x[-1]))
    for band in panel.bands:
        if _is_measured(band):
            seeds = np.array([_on_scale(seed, panel.y_scale)[order] for seed in band.values])
            _draw_seeds(axes, x, seeds, looks[band.label])
        if band.published is not None:
            every = 1 if len(x) <= style.MANY_EPOCHS else len(x) // 10
            look = looks[band.label] | _PUBLISHED
            published = _on_scale(band.published, panel.y_scale)[order]
            axes.plot(x, published, markevery=every, **look)
    axes.set(xlabel=style.legible(panel.x_label), ylabel=style.legible(panel.y_label))
    if panel.y_scale == "log":
        axes.set_yscale("log")
        style.set_log_ticks(axes.yaxis)


def _on_scale(values: Sequence[float], scale: str) -> NDArray[np.float64]:
    array = style.gaps(values)
    return np.where(array > 0, array, np.nan) if scale == "log" else array


def _draw_seeds(axes: Axes, x: NDArray[Any], seeds: NDArray[np.float64], look: _Look) -> None:
    """Draw mean and range of the seeds, (seeds, points), with gaps where all are NaN."""
    known = np.ma.masked_invalid(seeds)
    low, mean, high = (
        statistic(axis=0).filled(np.nan) for statistic in (known.min, known.mean, known.max)
    )
    # Of many points, the markers are as wide as the line, which shows one between two gaps.
    size = {} if len(x) <= style.MANY_EPOCHS else {"ms": _MEAN["lw"]}
    axes.plot(x, mean, **look, **_MEAN | size)
    if len(seeds) > 1:
        axes.fill_between(x, low, high, color=look["color"], alpha=_SHADE, lw=1)


def _short(value: float) -> str:
    """Return 0.0001 as "1e-4", but 0.1 as "0.1"."""
    return min(f"{value:g}", np.format_float_scientific(value, trim="-", exp_digits=1), key=len)


def _draw_run(axes: Axes, curve: Sequence[float], **look: Any) -> None:
    axes.plot(range(1, len(curve) + 1), style.gaps(curve), **look)


def _group_label(group: int, num_runs: int, group_name: str) -> str:
    noun, *rest = group_name.split(maxsplit=1)
    return " ".join([_count(group, noun), *rest, f"({_count(num_runs, 'run')})"])


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
