"""What all figures share: the settings of `pipeline.mplstyle`, legends, titles, ticks."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any

import matplotlib
import numpy as np
from matplotlib import font_manager
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font
from matplotlib.ticker import LogLocator, MaxNLocator
from numpy.typing import ArrayLike, NDArray

from pipeline.report.charts.spec import shortened

_SETTINGS = matplotlib.rc_params_from_file(
    Path(__file__).with_name("pipeline.mplstyle"), use_default_template=False
)

SMALL = 8
"""Points: ticks, cells, legend."""

COLORS: list[str] = _SETTINGS["axes.prop_cycle"].by_key()["color"]

MARKERS = ("o", "s", "^", "D", "v", "X", "P")

MANY_EPOCHS = 12
"""Beyond this, a marker on every epoch hides the line."""

_LARGEST = float(np.finfo(np.float32).max)  # a value beyond it has diverged

_drawing = RLock()


@contextmanager
def styled() -> Generator[None]:
    """Draw in the project's style; one thread at a time, since matplotlib's settings are global."""
    with _drawing, matplotlib.rc_context(_SETTINGS):
        yield


def add_legend(
    figure: Figure, handles: Sequence[Any], labels: Sequence[str], title: str = ""
) -> None:
    """Add a legend below the axes, in as few rows as fit, and make the figure higher by it."""
    texts = [legible(label) for label in labels]
    num_rows = 1
    while True:
        columns = -(-len(texts) // num_rows)
        legend = figure.legend(
            handles, texts, loc="outside lower center", ncols=columns, title=title
        )
        extent = legend.get_window_extent()
        if columns == 1 or extent.width <= figure.bbox.width:
            break
        legend.remove()
        num_rows = max(num_rows + 1, int(num_rows * extent.width / figure.bbox.width))
    figure.set_figheight(figure.get_figheight() + extent.height / figure.dpi)


def save(figure: Figure, path: Path, title: str, result: str = "") -> None:
    """Write the figure as PNG, under its title, shortened to its width, and a result, in full.

    A figure without axes says that there is nothing to draw.
    """
    if not figure.axes:
        figure.text(0.5, 0.5, "no finished epochs", ha="center", va="center")
    width = figure.get_figwidth()
    heading = legible(title, int(11 * width) - len(result)) + result
    figure.suptitle(heading, x=0.1 / width, ha="left")
    FigureCanvasAgg(figure).print_png(path)  # lays the figure out once; savefig does so twice


def integer_ticks(low: float, high: float) -> list[float]:
    """Return a few whole numbers between two bounds, such as epochs."""
    ticks = MaxNLocator(6, integer=True).tick_values(low, high)
    return [float(tick) for tick in ticks if low <= tick <= high] or [low]


def set_log_ticks(axis: Axis) -> None:
    """Label an axis with a log scale by its decades and, if it spans few, by 2 and 5 of each."""
    low, high = axis.get_view_interval()
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 500 * low else (1,)))
    axis.set_major_formatter("{x:g}")
    axis.minorticks_off()


def gaps(values: ArrayLike) -> NDArray[np.float64]:
    """Return the values with NaN, which is drawn as a gap, for what has diverged."""
    array = np.asarray(values, dtype=np.float64)
    return np.where(np.abs(array) <= _LARGEST, array, np.nan)


def text_width(text: str) -> float:
    """Return how wide a text of small size is, in inches."""
    font = _font()
    font.set_size(SMALL, 72)
    font.set_text(text)
    return font.get_width_height()[0] / 64 / 72  # from 1/64 of a point


def legible(text: str, num_characters: int = 64) -> str:
    """Return a text shortened in its middle, with a question mark for what the font lacks."""
    font = _font()
    short = shortened(text, num_characters)
    return "".join(c if font.get_char_index(ord(c)) else "?" for c in short)


def _font() -> FT2Font:
    return font_manager.get_font(font_manager.findfont(font_manager.FontProperties()))
