"""The figures of a study: what several seeds gave, beside what was published."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from pipeline.report import style

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    _Look = dict[str, Any]  # of a line, for matplotlib
    _Run = tuple[NDArray[np.float64], _Look]

__all__ = ["Band", "Panel", "draw_panels", "draw_runs"]

_WIDTH, _RIGHT = 9.6, 0.2  # inches: every figure, so that a page shows all with one text size
_DPI = 150
_HEADING, _HEIGHT, _GAP = 0.2, 2.8, 0.75  # inches: title of a panel, panel, room between two
_RUNS, _FINALS, _RUNS_HEIGHT = 6.8, 1.7, 3.6  # inches: curves, dots beside them
_SHADE = 0.18  # opacity of a range: several on top of each other stay readable
_GOLDEN = (5**0.5 - 1) / 2  # its multiples, modulo 1, keep neighbours apart

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
        y_scale: A log scale leaves out what isn't positive, on either axis.
    """

    title: str
    x_label: str
    y_label: str
    x: Sequence[float]
    bands: Sequence[Band]
    x_scale: Literal["linear", "log", "categories"] = "linear"
    y_scale: Literal["linear", "log"] = "linear"


def draw_panels(path: Path, panels: Sequence[Panel], *, title: str) -> None:
    """Draw panels side by side, more than three in two columns, above one legend.

    A band is the line of its mean and the shaded range from its lowest to its highest seed.
    Published values are hollow markers on a dashed line in the same colour. Points that no seed
    has are gaps.

    Args:
        path: The PNG to write.
        panels: One or more, row by row.
        title: Shown above all panels.
    """
    style.save(_make_panels(panels), path, title, dpi=_DPI)


def draw_runs(
    path: Path,
    curves: Sequence[Sequence[float]],
    groups: Sequence[int],
    *,
    published: Sequence[float],
    title: str,
    group_name: str,
    y_label: str,
) -> None:
    """Draw every run by epoch, coloured by its group, and its final value at the right.

    The published curve is bold, black and dashed; its final value crosses those of the runs.

    Args:
        path: The PNG to write.
        curves: Run by run, one value per epoch, of one epoch or more.
        groups: Run by run, the count that puts it into its group, such as of ignored digits.
        published: The published curve, one value per epoch.
        title: Shown above the figure.
        group_name: What the groups count, its first word in the singular: "digit ignored" gives
            "1 digit ignored (10 runs)" and "2 digits ignored (5 runs)" in the legend.
        y_label: Beside the y axis.
    """
    figure = _make_runs(curves, groups, published, group_name, y_label)
    style.save(figure, path, title, dpi=_DPI)


def _make_panels(panels: Sequence[Panel]) -> Figure:
    figure = Figure(figsize=(_WIDTH, 1))
    looks = _band_looks(panels)
    legend = style.add_legend(figure, _band_entries(panels, looks) + _explanations(panels))
    num_columns = len(panels) if len(panels) <= 3 else 2
    num_rows = -(-len(panels) // num_columns)
    heading = _HEADING if any(panel.title for panel in panels) else 0
    pitch = heading + _HEIGHT + style.BOTTOM
    figure.set_size_inches(_WIDTH, legend + num_rows * pitch + style.TOP)
    width = (_WIDTH - style.LEFT - _RIGHT + _GAP) / num_columns - _GAP
    for index, panel in enumerate(panels):
        row, column = divmod(index, num_columns)
        left = style.LEFT + column * (width + _GAP)
        bottom = legend + (num_rows - 1 - row) * pitch + style.BOTTOM
        axes = style.add_axes(figure, left, bottom, width, _HEIGHT)
        _draw_panel(axes, panel, looks)
        title = style.drawable(style.fit(panel.title, int(13 * width)))
        axes.set_title(title, loc="left", size=style.SMALL + 1)
    return figure


def _band_looks(panels: Sequence[Panel]) -> dict[str, _Look]:
    """Give every label a colour and a marker, whichever panels it comes up in."""
    labels = dict.fromkeys(band.label for panel in panels for band in panel.bands)
    return {label: _look(index, len(style.COLORS)) for index, label in enumerate(labels)}


def _look(index: int, num_colors: int) -> _Look:
    """Pick a colour and a marker; once all colours are used, they get other markers."""
    marker = (index + index // num_colors) % len(style.MARKERS)
    return {"color": style.COLORS[index % num_colors], "marker": style.MARKERS[marker]}


def _band_entries(panels: Sequence[Panel], looks: dict[str, _Look]) -> list[tuple[Any, str]]:
    measured = {band.label for panel in panels for band in panel.bands if _is_measured(band)}
    return [
        (Line2D([], [], **look, **(_MEAN if label in measured else _PUBLISHED)), label)
        for label, look in looks.items()
    ]


def _explanations(panels: Sequence[Panel]) -> list[tuple[Any, str]]:
    """Say in the legend what the kinds of drawing mean, as far as they come up."""
    bands = [band for panel in panels for band in panel.bands]
    entries: list[tuple[Any, str]] = []
    if any(band.published is not None for band in bands):
        line = Line2D([], [], color="0.4", marker="o", **_PUBLISHED)
        entries.append((line, "dashed, hollow: published"))
    if any(_is_measured(band) and len(band.values) > 1 for band in bands):
        swatch = (Patch(color="0.4", alpha=_SHADE), Line2D([], [], color="0.4", lw=1.5))
        entries.append((swatch, "line: mean, shaded: range of the seeds"))
    return entries


def _is_measured(band: Band) -> bool:
    return any(np.isfinite(seed).any() for seed in band.values)


def _draw_panel(axes: Axes, panel: Panel, looks: dict[str, _Look]) -> None:
    order = np.argsort(panel.x)
    x = _on_scale(panel.x, panel.x_scale)[order]
    if panel.x_scale == "categories":
        x = np.arange(len(order), dtype=np.float64)
    for band in panel.bands:
        seeds = [_on_scale(seed, panel.y_scale)[order] for seed in band.values]
        _draw_seeds(axes, x, np.reshape(seeds, (-1, len(x))), looks[band.label])
        if band.published is not None:
            published = _on_scale(band.published, panel.y_scale)[order]
            every = 1 if len(x) <= style.MANY_EPOCHS else len(x) // 10
            axes.plot(x, published, markevery=every, **looks[band.label], **_PUBLISHED)
    axes.set(xlabel=style.drawable(panel.x_label), ylabel=style.drawable(panel.y_label))
    style.dress(axes)
    _scale_x(axes, panel)
    if panel.y_scale == "log":
        axes.set_yscale("log")
        low, high = axes.get_ylim()
        style.set_log_ticks(axes.yaxis, high / low)


def _draw_seeds(
    axes: Axes, x: NDArray[np.float64], seeds: NDArray[np.float64], look: _Look
) -> None:
    """Draw mean and range of the seeds, (seeds, points), with gaps where all are NaN."""
    measured = ~np.isnan(seeds).all(axis=0)
    if not measured.any():
        return
    low, mean, high = np.full((3, len(x)), np.nan)
    low[measured] = np.nanmin(seeds[:, measured], axis=0)
    mean[measured] = np.nanmean(seeds[:, measured], axis=0)
    high[measured] = np.nanmax(seeds[:, measured], axis=0)
    # Of many points, the markers are as wide as the line, which shows one between two gaps.
    size = {} if len(x) <= style.MANY_EPOCHS else {"ms": _MEAN["lw"]}
    axes.plot(x, mean, **look, **_MEAN | size)
    if len(seeds) > 1:
        axes.fill_between(x, low, high, color=look["color"], alpha=_SHADE, lw=1)


def _on_scale(values: Sequence[float], scale: str) -> NDArray[np.float64]:
    array = style.gaps(values)
    return np.where(array > 0, array, np.nan) if scale == "log" else array


def _scale_x(axes: Axes, panel: Panel) -> None:
    """Label the x axis: whole numbers, such as epochs, get whole ticks."""
    if panel.x_scale == "categories":
        axes.set_xticks(range(len(panel.x)), [_short(value) for value in sorted(panel.x)])
    elif panel.x_scale == "log":
        axes.set_xscale("log")
        style.set_log_ticks(axes.xaxis, np.inf)
    elif all(float(value).is_integer() for value in panel.x):
        axes.set_xticks(style.integer_ticks(min(panel.x), max(panel.x)))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))


def _short(value: float) -> str:
    """Write 0.0001 as "1e-4", but 0.1 as "0.1"."""
    return min(f"{value:g}", np.format_float_scientific(value, trim="-", exp_digits=1), key=len)


def _make_runs(
    curves: Sequence[Sequence[float]],
    groups: Sequence[int],
    published: Sequence[float],
    group_name: str,
    y_label: str,
) -> Figure:
    figure = Figure(figsize=(_WIDTH, 1))
    looks = {
        group: _look(index, len(style.COLORS) - 1)  # black is the published curve's
        for index, group in enumerate(sorted(set(groups)))
    }
    legend = style.add_legend(figure, _group_entries(groups, looks, group_name))
    bottom, left = legend + style.BOTTOM, _WIDTH - _RIGHT - _FINALS
    figure.set_size_inches(_WIDTH, bottom + _RUNS_HEIGHT + style.TOP)
    by_epoch = style.add_axes(figure, style.LEFT, bottom, _RUNS, _RUNS_HEIGHT)
    at_the_end = style.add_axes(figure, left, bottom, _FINALS, _RUNS_HEIGHT)
    at_the_end.sharey(by_epoch)
    runs = [(style.gaps(curve), looks[group]) for curve, group in zip(curves, groups, strict=True)]
    _draw_curves(by_epoch, runs, published)
    _draw_finals(at_the_end, runs, published)
    by_epoch.set_ylabel(style.drawable(y_label))
    return figure


def _group_entries(
    groups: Sequence[int], looks: dict[int, _Look], group_name: str
) -> list[tuple[Any, str]]:
    noun, *rest = group_name.split(maxsplit=1)
    entries: list[tuple[Any, str]] = []
    for group, look in looks.items():
        label = " ".join([_count(group, noun), *rest, f"({_count(groups.count(group), 'run')})"])
        entries.append((Line2D([], [], lw=1.2, ms=5, mew=0, **look), label))
    return [*entries, (Line2D([], [], **_PUBLISHED_RUN), "published")]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _draw_curves(axes: Axes, runs: Sequence[_Run], published: Sequence[float]) -> None:
    for curve, look in runs:
        axes.plot(range(1, len(curve) + 1), curve, color=look["color"], lw=0.9, alpha=0.8)
    axes.plot(range(1, len(published) + 1), style.gaps(published), **_PUBLISHED_RUN)
    style.dress(axes)
    num_epochs = max(map(len, [published, *(curve for curve, _ in runs)]))
    axes.set(xlabel="epoch", xticks=style.integer_ticks(1, num_epochs))
    axes.margins(x=0.02)


def _draw_finals(axes: Axes, runs: Sequence[_Run], published: Sequence[float]) -> None:
    """Draw a dot per run at its final value; dots of nearly the same height stand apart."""
    axes.axhline(published[-1], **_PUBLISHED_RUN | {"lw": 1.2, "zorder": 1})
    for place, (curve, look) in enumerate(sorted(runs, key=lambda run: run[0][-1])):
        axes.plot(place * _GOLDEN % 1, curve[-1], ms=6, mec="white", mew=0.6, **look)
    style.dress(axes)
    axes.set(xlim=(-0.1, 1.1))
    axes.set_xticks([0.5], ["final value of each run"])
    axes.tick_params(length=0, labelleft=False)
    axes.grid(visible=False, axis="x")
