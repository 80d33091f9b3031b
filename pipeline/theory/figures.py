"""The figures of Problems 1.1, 1.2 and 3.2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.report.style import COLORS, MARKERS, SMALL, dress, set_log_ticks
from pipeline.theory.batch_size import NUM_EPOCHS, RATES, Comparison
from pipeline.theory.cross_entropy import binary_entropy, cross_entropy
from pipeline.theory.descent import CURVES, Curve, descend

__all__ = ["draw_batch_sizes", "draw_cross_entropy", "draw_descent", "write_figures"]

TITLE = 10  # points

STEP_SIZES = (("small", 0.05, 0), ("good", 0.3, 2), ("too large", 1.05, 1))
"""η in units of the bound, and the style of its path."""
NUM_STEPS = 6
WIDTH = 1.9
"""Of the curve, to either side."""

TARGETS = ((0.0, "-"), (0.1, "--"), (0.3, "-."), (0.5, ":"), (1.0, (0, (5, 1, 1, 1, 1, 1))))
"""y of the cross-entropies drawn, and their dashes."""


def write_figures(folder: Path, comparison: Comparison) -> list[Path]:
    """Write every figure as a PNG.

    Args:
        folder: made if it isn't there.
        comparison: of mini-batch sizes.

    Returns:
        descent.png, batch_size.png and cross_entropy.png.
    """
    folder.mkdir(parents=True, exist_ok=True)
    figures = {
        "descent": draw_descent(),
        "batch_size": draw_batch_sizes(comparison),
        "cross_entropy": draw_cross_entropy(),
    }
    for name, figure in figures.items():
        figure.savefig(folder / f"{name}.png", format="png", dpi=110)
    return [folder / f"{name}.png" for name in figures]


def draw_descent() -> Figure:
    """Draw the path of a small, a good and a too large η down C = v², and C by step."""
    curve = CURVES[0]
    figure = Figure(figsize=(12, 3.2), layout="constrained")
    *panels, by_step = figure.subplots(1, 4)
    dress(by_step)
    for panel, (name, fraction, number) in zip(panels, STEP_SIZES, strict=True):
        points = descend(curve, fraction, NUM_STEPS)
        _draw_path(panel, curve, points, _style(number))
        panel.set_title(f"{name}: η = {fraction:g} · 2/C″", size=TITLE)
        by_step.plot(curve.cost(points).numpy(), label=name, **_style(number))
    panels[0].set_ylabel(f"C = {curve.name}")
    by_step.set(yscale="log", xlabel="step", ylabel="C (log scale)")
    by_step.set_title("C falls while η < 2/C″", size=TITLE)
    by_step.legend(fontsize=SMALL, frameon=False)
    return figure


def _draw_path(axes: Axes, curve: Curve, points: torch.Tensor, style: dict[str, Any]) -> None:
    v = torch.linspace(-WIDTH, WIDTH, 201, dtype=torch.float64)
    costs = curve.cost(points)
    axes.plot(v.numpy(), curve.cost(v).numpy(), color="0.75", lw=1.2, zorder=1)
    axes.plot(points.numpy(), costs.numpy(), lw=0.9, **style)
    axes.annotate(
        "start",
        (points[0].item(), costs[0].item()),
        xytext=(-8, -3),
        textcoords="offset points",
        ha="right",
        size=SMALL,
    )
    dress(axes)
    axes.set(xlabel="v", xlim=(-WIDTH, WIDTH), ylim=(-0.1, WIDTH**2))


def draw_batch_sizes(comparison: Comparison) -> Figure:
    """Draw time per update, cosine with the full gradient and losses by mini-batch size."""
    measurements = comparison.measurements
    sizes = [m.size for m in measurements]
    figure = Figure(figsize=(12, 3.4), layout="constrained")
    times, cosines, losses = figure.subplots(1, 3)
    for axes in (times, cosines, losses):
        dress(axes)
        axes.set(xscale="log", xlabel="mini-batch size")
        axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
        axes.minorticks_off()
    _draw_log(times, sizes, {"": [m.update_s * 1e6 for m in measurements]}, first=0)
    times.set_ylabel("time per update (µs, log scale)")
    means, spreads = [m.cosine_mean for m in measurements], [m.cosine_std for m in measurements]
    cosines.errorbar(sizes, means, spreads, capsize=3, label="mean ± spread", **_style(2))
    cosines.set(ylabel="cosine with the full gradient", ylim=(-0.5, 1.1))
    after = {
        f"after {NUM_EPOCHS} epochs": [m.after_epochs.loss for m in measurements],
        f"after {comparison.seconds:g} s of updates": [m.after_time.loss for m in measurements],
    }
    _draw_log(losses, sizes, after, first=3)
    losses.set_ylabel("training loss (log scale)")
    for axes in (cosines, losses):
        axes.legend(fontsize=SMALL, frameon=False, loc="upper left")
    figure.suptitle(
        f"{comparison.num_examples:,} images of {comparison.data_name}, no hidden layer, softmax; "
        f"losses with the best η of {', '.join(map(str, RATES))} for each size",
        size=TITLE,
    )
    return figure


def _draw_log(
    axes: Axes, sizes: Sequence[int], curves: Mapping[str, Sequence[float]], *, first: int
) -> None:
    """Draw curves on a log scale that shows ticks for however little they span."""
    for number, (label, values) in enumerate(curves.items(), start=first):
        axes.plot(sizes, values, label=label, **_style(number))
    values = [value for curve in curves.values() for value in curve]
    low, high = min(values) / 2, max(values) * 2
    axes.set(yscale="log", ylim=(low, high))
    set_log_ticks(axes.yaxis, high / low)


def draw_cross_entropy() -> Figure:
    """Draw the cross-entropy by a for several y: lowest at a = y, where it is the entropy."""
    figure = Figure(figsize=(5.6, 3.8), layout="constrained")
    axes = figure.subplots()
    dress(axes)
    a = torch.linspace(0.005, 0.995, 397, dtype=torch.float64)
    for (y, dashes), color in zip(TARGETS, COLORS, strict=False):
        target = torch.full_like(a, y)
        costs, lowest = cross_entropy(a, target), binary_entropy(target)[0].item()
        axes.plot(a.numpy(), costs.numpy(), color=color, ls=dashes, label=f"y = {y:g}")
        axes.plot([y], [lowest], color=color, marker="o", ms=5, clip_on=False, zorder=3)
    entropy = binary_entropy(a).numpy()
    axes.plot(a.numpy(), entropy, color="0.5", lw=1, label="binary entropy, a = y")
    axes.set(xlabel="a", ylabel="C", xlim=(0, 1), ylim=(0, 3))
    axes.legend(fontsize=SMALL, frameon=False, loc="upper center", ncols=2)
    return figure


def _style(number: int) -> dict[str, Any]:
    return {"color": COLORS[number], "marker": MARKERS[number], "ms": 4}
