"""The look that all figures share: colours, sizes in inches, axes, titles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.ticker import LogLocator, MaxNLocator, ScalarFormatter

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

__all__ = [
    "BOTTOM",
    "COLORS",
    "LEFT",
    "MANY_EPOCHS",
    "MARKERS",
    "SMALL",
    "TOP",
    "add_axes",
    "add_legend",
    "drawable",
    "dress",
    "fit",
    "gaps",
    "integer_ticks",
    "save",
    "set_log_ticks",
]

SMALL = 8
"""Points: ticks, cells, legend."""

LEFT, BOTTOM, TOP = 0.75, 0.55, 0.5
"""Inches of room for the y label, the x label and the title."""

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito, "Color Universal Design" (2008), without the yellow that fades on white."""

MARKERS = ("o", "s", "^", "D", "v", "X", "P")

MANY_EPOCHS = 12
"""Beyond this, a marker on every epoch hides the line."""

_LARGEST = float(np.finfo(np.float32).max)  # a value beyond it has diverged


def add_axes(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Add axes at a place in inches."""
    columns, rows = figure.get_size_inches()
    return figure.add_axes((left / columns, bottom / rows, width / columns, height / rows))


def add_legend(figure: Figure, entries: Sequence[tuple[Any, str]]) -> float:
    """Add a legend along the bottom, in as few rows as fit; return its height in inches.

    Args:
        figure: Its width is final, its height may still change.
        entries: Handles and labels.
    """
    handles = [handle for handle, _ in entries]
    labels = [drawable(fit(label, 60)) for _, label in entries]
    for num_rows in range(1, len(entries) + 1):
        legend = figure.legend(
            handles,
            labels,
            loc="lower center",
            ncols=-(-len(entries) // num_rows),
            frameon=False,
            fontsize=SMALL,
            handlelength=3,
            labelspacing=0.5,
        )
        extent = legend.get_window_extent(FigureCanvasAgg(figure).get_renderer())
        if extent.width < figure.bbox.width:
            return extent.height / figure.dpi
        legend.remove()
    return 0.0


def dress(axes: Axes) -> None:
    """Give axes round y ticks, a pale grid, and no frame at the top and the right."""
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(ScalarFormatter(useOffset=False))
    axes.tick_params(length=2.5, color="0.6", labelsize=SMALL)
    axes.grid(color="0.92", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("0.6")


def integer_ticks(low: float, high: float) -> list[float]:
    """Return a few whole numbers between two bounds, such as epochs."""
    ticks = MaxNLocator(6, integer=True).tick_values(low, high)
    return [float(tick) for tick in ticks if low <= tick <= high] or [low]


def set_log_ticks(axis: Axis, span: float) -> None:
    """Label an axis with a log scale by its decades and, if it spans few, by 2 and 5 of each."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if span < 500 else (1,)))
    axis.set_major_formatter("{x:g}")
    axis.minorticks_off()


def gaps(values: Sequence[float]) -> NDArray[np.float64]:
    """Return the values with NaN, which is drawn as a gap, for what has diverged."""
    array = np.asarray(values, dtype=np.float64)
    return np.where(np.abs(array) <= _LARGEST, array, np.nan)


def fit(text: str, num_characters: int) -> str:
    """Shorten a text in its middle: what sets runs apart is often at the end."""
    half = num_characters // 2
    return text if len(text) <= num_characters else f"{text[: half - 1]}…{text[-half:]}"


def drawable(text: str) -> str:
    """Replace what the font lacks, and keep "$" from starting a formula."""
    font = font_manager.get_font(font_manager.findfont(font_manager.FontProperties()))
    known = (c if font.get_char_index(ord(c)) else "?" for c in text)
    return "".join(known).replace("$", r"\$")


def save(figure: Figure, path: Path, title: str, result: str = "", dpi: int = 100) -> None:
    """Write the figure under its title; one without axes says that there is nothing to draw.

    Args:
        figure: What to write; its own top margin holds the title.
        path: The PNG to write.
        title: Shortened to the figure's width.
        result: Follows the title and is never shortened.
        dpi: Pixels per inch.
    """
    width, height = figure.get_size_inches()
    if not figure.axes:
        figure.text(0.5, 0.5, "no finished epochs", ha="center", va="center")
    heading = drawable(fit(title, int(11 * (width - LEFT)) - len(result)) + result)
    figure.text(LEFT / width, 1 - 0.28 / height, heading, size="medium", va="center")
    figure.savefig(path, format="png", dpi=dpi)
