"""What is drawn of a run: its curves, its confusion matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pipeline.report import style
from pipeline.report.confusion import distinct_labels, shares_of_true, shown_classes

__all__ = ["Curves", "draw_confusion", "draw_curves"]

Curves = Mapping[str, Sequence[float]]
"""Values epoch by epoch, under their metric or their part of the data."""

_WIDTH, _HEIGHT = 9.0, 3.2  # inches, of two panels
_DPI = 100  # many of these are drawn: fewer pixels are quicker
_MAX_NAME = 24  # letters of a class
_PAD = 0.1  # inches, beside a text
_CELL, _SMALL_CELL = 0.44, 0.2  # inches: one holds four figures, one a line of text beside it
_MIN_SIDE, _MAX_SIDE = 3.5, 13.2  # inches, of all cells
_SPLITS = {"train": "train", "val": "validation", "test": "test"}
_LOOKS: tuple[dict[str, Any], ...] = (
    {"marker": "o", "ms": 4.5},
    {"marker": "s", "ms": 4.5, "ls": "--"},
)
_LINE = 0.08  # of a panel's height, for a line of small text
_LOG_SPAN = 5  # losses further apart than this factor get a log scale


@style.styled()
def draw_curves(path: Path, curves: Curves, *, title: str) -> Figure:
    """Draw a run's losses and accuracies by epoch into a PNG file and return the figure.

    Those of the training examples and of the validation examples; where there are none of these,
    of the test examples. The final values stand at the right edges. What is infinite leaves a gap;
    NaN is an epoch that was not evaluated.

    Args:
        path: The PNG to write.
        curves: Values epoch by epoch under their metric, such as "val/accuracy".
        title: Shown above.
    """
    figure = Figure((_WIDTH, _HEIGHT), _DPI)  # fixed margins: finding them doubles the time
    figure.subplots_adjust(left=0.085, right=0.93, bottom=0.17, top=0.86, wspace=0.42)
    held_out = "val" if len(curves.get("val/accuracy", ())) else "test"
    num_epochs = max((len(values) for values in curves.values()), default=0)
    if num_epochs:
        panels = zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True)
        for axes, name in panels:
            lines = {split: curves.get(f"{split}/{name}", ()) for split in ("train", held_out)}
            _draw_panel(axes, name, lines, num_epochs)
    style.save(figure, path, title)
    return figure


@style.styled()
def draw_confusion(
    path: Path, counts: NDArray[np.integer], *, classes: Sequence[str], title: str
) -> Figure:
    """Draw a confusion matrix into a PNG file: counts as text, shares of the true class as colour.

    The colour follows a power of the share, so that rare confusions stay visible beside a diagonal
    that holds nearly everything. Counts that don't fit into their cells are left out. Of more
    classes than fit on an axis it shows those with the most frequent confusions. Return the figure.

    Args:
        path: The PNG to write.
        counts: Examples by true class (rows) and predicted class (columns), (classes, classes).
        classes: The names of the classes.
        title: Shown above the matrix, followed by the overall accuracy.
    """
    shown, which = shown_classes(counts)
    seen, shares = (table[np.ix_(shown, shown)] for table in (counts, shares_of_true(counts)))
    labels = distinct_labels(classes, lambda name: style.legible(name, _MAX_NAME))
    names = [labels[number] for number in shown]
    count_width = style.text_width(str(seen.max())) + _PAD
    cell = max(_CELL, count_width)
    has_counts = cell * len(names) <= _MAX_SIDE
    figure, axes, beside = _confusion_axes(names, cell if has_counts else _SMALL_CELL)
    norm = PowerNorm(0.4, 0, 1)  # a share of 0.01 gets 16 % of the colour range
    image = axes.imshow(shares, cmap="Blues", norm=norm, aspect="auto")
    if has_counts:
        _write_counts(axes, seen, shares)
    bar = figure.colorbar(image, beside, ticks=[0, 0.01, 0.05, 0.2, 0.5, 1], format="%g")
    bar.set_label("share of the true class", size=style.SMALL)
    for outline in (*axes.spines.values(), bar.outline):
        outline.set_visible(False)
    total = counts.sum()
    accuracy = f"accuracy {np.trace(counts) / total:.4f}" if total else "accuracy unknown"
    style.save(figure, path, title, "".join(f", {it}" for it in (which, accuracy) if it))
    return figure


def _confusion_axes(names: Sequence[str], cell: float) -> tuple[Figure, Axes, Axes]:
    """Return a figure with the axes of a confusion matrix and, beside it, those of its colours.

    Args:
        names: Of the classes, as they are shown.
        cell: The side of a cell in inches, at least.
    """
    side = max(cell * len(names), _MIN_SIDE)
    longest = max(map(style.text_width, names))
    is_turned = longest + _PAD > side / len(names)
    left = 0.35 + longest
    bottom = 0.35 + (longest if is_turned else 0.11)
    width, height = left + side + 1.0, (bottom + side + 0.3) / 0.98  # 2 % lie above the title
    figure = Figure((width, height), _DPI)  # fixed margins: finding them doubles the time
    axes = figure.add_axes((left / width, bottom / height, side / width, side / height))
    beside = figure.add_axes(
        ((left + side + 0.15) / width, bottom / height, 0.12 / width, side / height)
    )
    axes.set_xticks(range(len(names)), names, rotation=90 if is_turned else 0)
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="predicted class", ylabel="true class")
    axes.tick_params(length=0)
    axes.grid(visible=False)
    return figure, axes, beside


def _write_counts(axes: Axes, counts: NDArray[np.integer], shares: NDArray[Any]) -> None:
    """Write each count into its cell, light where the cell is dark."""
    for (row, column), count in np.ndenumerate(counts):
        color = "0.7" if count == 0 else "0.1" if shares[row, column] < 0.3 else "1"
        axes.text(column, row, str(count), color=color, size=style.SMALL, ha="center", va="center")


def _draw_panel(axes: Axes, name: str, lines: Curves, num_epochs: int) -> None:
    """Draw a metric by epoch, a line for each part of the data."""
    for (split, values), look in zip(lines.items(), _LOOKS, strict=True):
        epochs, numbers = _points(values)
        every = 1 if len(epochs) <= style.MANY_EPOCHS else len(epochs) // 6
        axes.plot(epochs, numbers, label=_SPLITS[split], markevery=every, **look)
    pad = max(0.25, 0.03 * num_epochs)
    axes.set(xlabel="epoch", ylabel=name, xlim=(1 - pad, num_epochs + pad))
    axes.set_xticks(style.integer_ticks(1, num_epochs))
    axes.locator_params(axis="y", nbins=6)
    if name == "loss":
        _scale_loss(axes, np.concatenate([style.gaps(values) for values in lines.values()]))
    else:
        low, high = axes.get_ylim()
        axes.set_ylim(max(low, -0.02), min(high, 1.02))
    axes.legend(fontsize=style.SMALL)
    _annotate_final(axes, [values[-1] for values in lines.values() if len(values)])


def _points(values: Sequence[float]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the epochs that were evaluated, and the values, with gaps for what has diverged."""
    array = np.asarray(values, dtype=np.float64)
    evaluated = np.flatnonzero(~np.isnan(array))
    return evaluated + 1, style.gaps(array[evaluated])


def _scale_loss(axes: Axes, losses: NDArray[np.float64]) -> None:
    """Label the loss, on a log scale if it spans much and is never negative; zeros fall off it."""
    positive = losses[losses > 0]
    span = positive.max() / positive.min() if positive.size else 1
    if span > _LOG_SPAN and not (losses < 0).any():
        axes.set(yscale="log", ylabel="loss (log scale)")
        style.set_log_ticks(axes.yaxis)


def _annotate_final(axes: Axes, values: Sequence[float]) -> None:
    """Write one or two values beside the right edge, at their height as far as there is room."""
    finite = sorted(value for value in style.gaps(values).tolist() if not np.isnan(value))
    to_axes = axes.transData + axes.transAxes.inverted()
    with np.errstate(divide="ignore"):  # zeros fall off a log scale
        heights = [to_axes.transform((1, value))[1] for value in finite]
    lowest = 0.5 * _LINE
    for number, (value, height) in enumerate(zip(finite, heights, strict=True), start=1):
        highest = 1 - _LINE * (len(finite) - number + 0.5)
        place = float(np.clip(np.nan_to_num(height), lowest, highest))
        axes.text(
            1.01, place, f"{value:#.4g}", transform=axes.transAxes, va="center", size=style.SMALL
        )
        lowest = place + _LINE
