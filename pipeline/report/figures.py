"""What is drawn of a run (its curves, its confusion matrix) and of a sweep (all its curves)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pipeline.report import style

__all__ = ["Curve", "draw_comparison", "draw_confusion", "draw_curves"]

_WIDTH, _HEIGHT = 9.0, 3.2  # inches, of two panels
_DPI = 100  # many of these are drawn: fewer pixels are quicker
_STYLES = {"color": style.COLORS, "marker": style.MARKERS, "ls": ("-", "--", "-.", ":")}
_MAX_NAMED = 28  # 7 markers times 4 dashes, without a common factor: each pair comes up once
_NUM_BEST, _NUM_WORST = 12, 8  # named in the legend when there are more runs than styles
_LOG_SPAN = 5  # train losses further apart than this factor get a log scale
# The runs that the legend only counts, behind the others.
_REST: dict[str, Any] = {"color": "0.8", "lw": 0.6, "marker": ".", "ms": 2, "zorder": 1.9}


@dataclass(frozen=True)
class Curve:
    """What one run of a sweep contributes to the comparison.

    Attributes:
        label: The choices that set this run apart.
        train_loss: Mean train loss of each epoch, NaN if it was not evaluated.
        test_accuracy: Test accuracy after each epoch, in [0, 1], or NaN.
        status: The run's status in MLflow; any but "FINISHED" is shown beside the label.
    """

    label: str
    train_loss: Sequence[float]
    test_accuracy: Sequence[float]
    status: str = "FINISHED"


@style.styled()
def draw_curves(
    path: Path, train_loss: Sequence[float], test_accuracy: Sequence[float], *, title: str
) -> Figure:
    """Draw a run's mean train losses and test accuracies in [0, 1] by epoch into a PNG file.

    The final values stand at the right edges. What is infinite leaves a gap; NaN is an epoch that
    was not evaluated. Return the figure.
    """
    figure = Figure((_WIDTH, _HEIGHT), _DPI)  # fixed margins: finding them doubles the time
    figure.subplots_adjust(left=0.085, right=0.93, bottom=0.17, top=0.86, wspace=0.42)
    curve = Curve("", train_loss, test_accuracy)
    marker = "o" if _num_epochs(curve) <= style.MANY_EPOCHS else ""
    _draw_panels(figure, [curve], [{"marker": marker, "ms": 4.5}])
    for axes, values in zip(figure.axes, (train_loss, test_accuracy), strict=False):
        _annotate_final(axes, values)
    style.save(figure, path, title)
    return figure


@style.styled()
def draw_confusion(path: Path, counts: NDArray[np.integer], *, title: str) -> Figure:
    """Draw a confusion matrix into a PNG file: counts as text, shares of the true digit as colour.

    The colour follows a power of the share, so that rare confusions stay visible beside a diagonal
    that holds nearly everything. Return the figure.

    Args:
        path: The PNG to write.
        counts: Examples by true digit (rows) and predicted digit (columns), (classes, classes).
        title: Shown above the matrix, followed by the overall accuracy.
    """
    total, digits = counts.sum(), range(len(counts))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 0.44 * max(len(digits), 8)  # inches: a cell holds four figures
    figure = Figure((side + 1.7, side + 1), _DPI)
    figure.subplots_adjust(left=0.1, right=1, bottom=0.11, top=0.91)
    axes = figure.subplots()
    norm = PowerNorm(0.4, 0, 1)  # a share of 0.01 gets 16 % of the colour range
    image = axes.imshow(shares, cmap="Blues", norm=norm, aspect="auto")
    text: dict[str, Any] = {"size": style.SMALL, "ha": "center", "va": "center"}
    for (row, column), count in np.ndenumerate(counts):
        color = "0.7" if count == 0 else "0.1" if shares[row, column] < 0.3 else "1"
        axes.text(column, row, str(count), color=color, **text)
    axes.set(xlabel="predicted digit", ylabel="true digit", xticks=digits, yticks=digits)
    axes.tick_params(length=0)
    axes.grid(visible=False)
    bar = figure.colorbar(
        image, ticks=[0, 0.01, 0.05, 0.2, 0.5, 1], format="%g", pad=0.03, aspect=35
    )
    bar.set_label("share of the true digit", size=style.SMALL)
    for outline in (*axes.spines.values(), bar.outline):
        outline.set_visible(False)
    accuracy = f"{np.trace(counts) / total:.4f}" if total else "unknown"
    style.save(figure, path, title, f", accuracy {accuracy}")
    return figure


@style.styled()
def draw_comparison(path: Path, curves: Sequence[Curve], *, title: str) -> Figure:
    """Draw the curves of a sweep's runs, in any order, as `draw_curves` does for one.

    The legend is ordered by final test accuracy, best first. Of more runs than can be told apart
    it names only the best and the worst; the others are drawn in grey and counted. Runs without
    an epoch are left out. Return the figure.
    """
    started = [curve for curve in curves if _num_epochs(curve)]
    ranked = sorted(started, key=lambda curve: np.nan_to_num(-_final_accuracy(curve), nan=np.inf))
    height = _HEIGHT + 0.05 * min(len(ranked), _MAX_NAMED)
    figure = Figure((_WIDTH, height), _DPI, layout="constrained")
    if ranked:
        _draw_panels(figure, ranked, _looks(ranked))
        labelled = figure.axes[0].get_legend_handles_labels()
        style.add_legend(figure, *labelled, title="final test accuracy, best first")
    style.save(figure, path, title)
    return figure


def _num_epochs(curve: Curve) -> int:
    return max(len(curve.train_loss), len(curve.test_accuracy))


def _final_accuracy(curve: Curve) -> float:
    return curve.test_accuracy[-1] if len(curve.test_accuracy) else np.nan


def _looks(ranked: Sequence[Curve]) -> list[dict[str, Any]]:
    """Return how each run is drawn and what the legend calls it: no two differ only in colour."""
    num_rest = len(ranked) - _NUM_BEST - _NUM_WORST if len(ranked) > _MAX_NAMED else 0
    named = [*ranked[:_NUM_BEST], *ranked[_NUM_BEST + num_rest :]]
    size = {"lw": 1.5, "ms": 4.5} if len(named) <= len(style.COLORS) else {"lw": 1, "ms": 3.5}
    looks = [
        {key: values[index % len(values)] for key, values in _STYLES.items()}
        | {"label": _label(curve), **size}
        for index, curve in enumerate(named)
    ]
    if num_rest:
        counted = _REST | {"label": f"… and {num_rest} more"}
        looks[_NUM_BEST:_NUM_BEST] = [counted, *[_REST] * (num_rest - 1)]
    return looks


def _label(curve: Curve) -> str:
    status = "" if curve.status == "FINISHED" else f" ({curve.status.lower()})"
    return f"{_final_accuracy(curve):.4f}  {curve.label}{status}"


def _draw_panels(figure: Figure, curves: Sequence[Curve], looks: Sequence[dict[str, Any]]) -> None:
    """Draw curves into a panel for the loss and one for the accuracy, if there is any epoch."""
    num_epochs = max(map(_num_epochs, curves))
    if num_epochs == 0:
        return
    loss, accuracy = figure.subplots(1, 2)
    points = [(_points(curve.train_loss), _points(curve.test_accuracy)) for curve in curves]
    num_points = max(len(epochs) for pair in points for epochs, _ in pair)
    every = 1 if num_points <= style.MANY_EPOCHS else num_points // 6
    for rank, (pair, look) in enumerate(zip(points, looks, strict=True)):
        for axes, (epochs, values) in zip((loss, accuracy), pair, strict=True):
            first = min(rank % every, max(len(epochs) - 1, 0))
            axes.plot(epochs, values, markevery=(first, every), **look)
    pad = max(0.25, 0.03 * num_epochs)
    for axes in (loss, accuracy):
        axes.set(xlabel="epoch", xlim=(1 - pad, num_epochs + pad))
        axes.set_xticks(style.integer_ticks(1, num_epochs))
        axes.locator_params(axis="y", nbins=6)
    _scale_loss(loss, np.concatenate([style.gaps(curve.train_loss) for curve in curves]))
    low, high = accuracy.get_ylim()
    accuracy.set(ylabel="test accuracy", ylim=(max(low, -0.02), min(high, 1.02)))


def _points(values: Sequence[float]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the epochs that were evaluated, and the values, with gaps for what has diverged."""
    array = np.asarray(values, dtype=np.float64)
    evaluated = np.flatnonzero(~np.isnan(array))
    return evaluated + 1, style.gaps(array[evaluated])


def _scale_loss(axes: Axes, losses: NDArray[np.float64]) -> None:
    """Label the loss, on a log scale if it spans much and is never negative; zeros fall off it."""
    positive = losses[losses > 0]
    span = positive.max() / positive.min() if positive.size else 1
    axes.set_ylabel("train loss")
    if span > _LOG_SPAN and not (losses < 0).any():
        axes.set(yscale="log", ylabel="train loss (log scale)")
        style.set_log_ticks(axes.yaxis)


def _annotate_final(axes: Axes, values: Sequence[float]) -> None:
    """Write the last value beside the right edge, at its height or, without one, at the top."""
    if len(values):
        height = np.clip(np.nan_to_num(values[-1], nan=np.inf), *axes.get_ylim())
        place = axes.get_yaxis_transform()  # x in axes, y in data
        axes.text(
            1.01, height, f"{values[-1]:#.4g}", transform=place, va="center", size=style.SMALL
        )
