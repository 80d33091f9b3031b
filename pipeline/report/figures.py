"""The figures kept with a run (its curves, its confusion matrix) and with a sweep (all curves)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipeline.report.style import (
    BOTTOM,
    COLORS,
    LEFT,
    MANY_EPOCHS,
    MARKERS,
    SMALL,
    TOP,
    add_axes,
    drawable,
    dress,
    fit,
    gaps,
    integer_ticks,
    save,
    set_log_ticks,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

__all__ = ["Curve", "draw_comparison", "draw_confusion", "draw_curves"]

_PANEL, _GAP = 3.2, 1.2  # inches
_PANELS = LEFT + _PANEL + _GAP + _PANEL

_DASHES = ("-", "--", "-.", ":")
_MAX_NAMED = len(COLORS) * len(_DASHES)  # the lengths share no factor: each pair comes up once
_NUM_BEST, _NUM_WORST = 12, 8  # named in the legend when there are more runs than styles
_LOG_SPAN = 5  # train losses further apart than this factor get a log scale
# The runs that the legend only counts, behind the others.
_REST: dict[str, Any] = {"color": "0.8", "lw": 0.6, "marker": ".", "ms": 2, "zorder": 1.9}


@dataclass(frozen=True)
class Curve:
    """What one run of a sweep contributes to the comparison.

    Attributes:
        label: The choices that set this run apart.
        train_loss: Mean train loss of each epoch.
        test_accuracy: Test accuracy after each epoch, in [0, 1].
        status: The run's status in MLflow; any but "FINISHED" is shown beside the label.
    """

    label: str
    train_loss: Sequence[float]
    test_accuracy: Sequence[float]
    status: str = "FINISHED"


def draw_curves(
    path: Path, train_loss: Sequence[float], test_accuracy: Sequence[float], *, title: str
) -> None:
    """Draw the train loss (left) and the test accuracy (right) of one run by epoch.

    The final values stand at the right edges. Non-finite values leave gaps.

    Args:
        path: The PNG to write.
        train_loss: Mean train loss of each epoch.
        test_accuracy: Test accuracy after each epoch, in [0, 1].
        title: Shown above both panels.
    """
    curve = Curve("", train_loss, test_accuracy)
    figure = Figure(figsize=(_PANELS + 0.65, 3.2))
    if num_epochs := _num_epochs(curve):
        style = _style(0, 1) | {"marker": "o" if num_epochs <= MANY_EPOCHS else ""}
        loss, accuracy = _draw_panels(figure, [curve], [style])
        _annotate_final(loss, train_loss)
        _annotate_final(accuracy, test_accuracy)
    save(figure, path, title)


def draw_confusion(path: Path, counts: NDArray[np.integer], *, title: str) -> None:
    """Draw a confusion matrix: counts as text, shares of the true digit as colour.

    The colour follows a power of the share, so that rare confusions stay visible beside a diagonal
    that holds nearly everything.

    Args:
        path: The PNG to write.
        counts: Examples by true digit (rows) and predicted digit (columns), (classes, classes).
        title: Shown above the matrix, followed by the overall accuracy.
    """
    total, digits = counts.sum(), range(len(counts))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 0.44 * max(len(digits), 8)  # inches: a cell holds four figures
    figure = Figure(figsize=(LEFT + side + 0.95, BOTTOM + side + TOP))
    axes = _add_axes(figure, LEFT, side)
    norm = PowerNorm(0.4, 0, 1)  # a share of 0.01 gets 16 % of the colour range
    image = axes.imshow(shares, cmap="Blues", norm=norm, aspect="auto")
    for (row, column), count in np.ndenumerate(counts):
        color = "0.7" if count == 0 else "0.1" if shares[row, column] < 0.3 else "1"
        axes.text(column, row, str(count), color=color, size=SMALL, ha="center", va="center")
    axes.set(xlabel="predicted digit", ylabel="true digit", xticks=digits, yticks=digits)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    scale = _add_axes(figure, LEFT + side + 0.12, 0.12)
    bar = figure.colorbar(image, scale, ticks=[0, 0.01, 0.05, 0.2, 0.5, 1], format="%g")
    bar.set_label("share of the true digit", size=SMALL)
    bar.outline.set_visible(False)
    scale.tick_params(length=2, labelsize=SMALL)
    accuracy = f"{np.trace(counts) / total:.4f}" if total else "unknown"
    save(figure, path, title, f", accuracy {accuracy}")


def draw_comparison(path: Path, curves: Sequence[Curve], *, title: str) -> None:
    """Draw the train losses (left) and the test accuracies (right) of a sweep's runs by epoch.

    The legend is ordered by final test accuracy, best first. Of more runs than can be told apart
    it names only the best and the worst; the others are drawn in grey and counted. Runs without
    an epoch are left out.

    Args:
        path: The PNG to write.
        curves: The runs, in any order.
        title: Shown above both panels.
    """
    ranked = _rank(curves)
    named = _named_ranks(len(ranked))
    styles = [_REST] * len(ranked)
    for index, rank in enumerate(named):
        styles[rank] = _style(index, len(named))
    figure = Figure(figsize=(_PANELS, max(3.2, 1.1 + 0.165 * len(named))))
    if ranked:
        _add_legend(figure, _legend_labels(ranked), [styles[rank] for rank in named])
        _draw_panels(figure, ranked, styles)
    save(figure, path, title)


def _num_epochs(curve: Curve) -> int:
    return max(len(curve.train_loss), len(curve.test_accuracy))


def _final_accuracy(curve: Curve) -> float:
    return curve.test_accuracy[-1] if len(curve.test_accuracy) else np.nan


def _rank(curves: Sequence[Curve]) -> list[Curve]:
    """Sort the curves that have an epoch by final test accuracy, best first, unknown last."""
    started = [curve for curve in curves if _num_epochs(curve)]
    return sorted(started, key=lambda curve: np.nan_to_num(-_final_accuracy(curve), nan=np.inf))


def _named_ranks(num_curves: int) -> list[int]:
    ranks = list(range(num_curves))
    return ranks if num_curves <= _MAX_NAMED else ranks[:_NUM_BEST] + ranks[-_NUM_WORST:]


def _legend_labels(ranked: Sequence[Curve]) -> list[str]:
    """Name runs by final accuracy, choices and status; count the others in one line."""
    labels: list[str] = []
    for curve in (ranked[rank] for rank in _named_ranks(len(ranked))):
        status = "" if curve.status == "FINISHED" else f" ({curve.status.lower()})"
        labels.append(f"{_final_accuracy(curve):.4f}  {fit(curve.label, 60)}{status}")
    if num_rest := len(ranked) - len(labels):
        labels.insert(_NUM_BEST, f"… and {num_rest} more")
    return labels


def _style(index: int, num_styles: int) -> dict[str, Any]:
    """Pick the style of a named run: no two differ only in colour."""
    i, j = index % len(COLORS), index % len(_DASHES)
    width, size = (1.5, 4.5) if num_styles <= len(COLORS) else (1, 3.5)
    return {"color": COLORS[i], "ls": _DASHES[j], "marker": MARKERS[i], "lw": width, "ms": size}


def _add_legend(figure: Figure, labels: list[str], styles: list[dict[str, Any]]) -> None:
    """Add a legend in the top right corner and widen the figure by the room it takes."""
    if len(labels) > len(styles):
        styles = [*styles[:_NUM_BEST], _REST, *styles[_NUM_BEST:]]
    handles = [Line2D([], [], **style) for style in styles]
    width, height = figure.get_size_inches()
    legend = figure.legend(
        handles,
        map(drawable, labels),
        loc="upper right",
        frameon=False,
        bbox_to_anchor=(1, 1 - (TOP - 0.1) / height),
        alignment="left",
        title="final test accuracy, best first",
        title_fontsize=SMALL,
        fontsize=SMALL,
        handlelength=3,
        labelspacing=0.3,
    )
    extent = legend.get_window_extent(FigureCanvasAgg(figure).get_renderer())
    figure.set_size_inches(width + 0.2 + extent.width / figure.dpi, height)


def _draw_panels(
    figure: Figure, curves: Sequence[Curve], styles: Sequence[dict[str, Any]]
) -> tuple[Axes, Axes]:
    """Draw curves into a panel for the loss and one for the accuracy."""
    loss = _add_axes(figure, LEFT, _PANEL)
    accuracy = _add_axes(figure, LEFT + _PANEL + _GAP, _PANEL)
    num_epochs = max(map(_num_epochs, curves))
    every = 1 if num_epochs <= MANY_EPOCHS else num_epochs // 6
    for rank, (curve, style) in enumerate(zip(curves, styles, strict=True)):
        for axes, values in ((loss, curve.train_loss), (accuracy, curve.test_accuracy)):
            first = min(rank % every, max(len(values) - 1, 0))
            epochs = range(1, len(values) + 1)
            axes.plot(epochs, gaps(values), markevery=(first, every), **style)
    for axes in (loss, accuracy):
        _dress(axes, num_epochs)
    _scale_loss(loss, np.concatenate([gaps(curve.train_loss) for curve in curves]))
    low, high = accuracy.get_ylim()
    accuracy.set(ylabel="test accuracy", ylim=(max(low, -0.02), min(high, 1.02)))
    return loss, accuracy


def _dress(axes: Axes, num_epochs: int) -> None:
    axes.set(xlabel="epoch", xticks=integer_ticks(1, num_epochs))
    pad = max(0.25, 0.03 * num_epochs)
    axes.set_xlim(1 - pad, num_epochs + pad)
    dress(axes)


def _scale_loss(axes: Axes, losses: NDArray[np.float64]) -> None:
    """Label the loss, on a log scale if it spans much and is never negative; zeros fall off it."""
    positive = losses[losses > 0]
    span = positive.max() / positive.min() if positive.size else 1
    axes.set_ylabel("train loss")
    if span > _LOG_SPAN and not (losses < 0).any():
        axes.set(yscale="log", ylabel="train loss (log scale)")
        set_log_ticks(axes.yaxis, span)


def _annotate_final(axes: Axes, values: Sequence[float]) -> None:
    """Write the last value beside the right edge, at its height or, without one, at the top."""
    if len(values):
        height = np.clip(np.nan_to_num(values[-1], nan=np.inf), *axes.get_ylim())
        place = axes.get_yaxis_transform()  # x in axes, y in data
        axes.text(1.01, height, f"{values[-1]:#.4g}", transform=place, va="center", size=SMALL)


def _add_axes(figure: Figure, left: float, width: float) -> Axes:
    """Add axes at a place in inches, between the bottom and the top margin."""
    height = figure.get_size_inches()[1] - BOTTOM - TOP
    return add_axes(figure, left, BOTTOM, width, height)
