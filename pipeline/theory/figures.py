"""The figures of Problems 1.1, 1.2 and 3.2."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.report import style
from pipeline.theory.batch_size import NUM_EPOCHS, Comparison
from pipeline.theory.cross_entropy import binary_entropy, cross_entropy
from pipeline.theory.descent import CURVES, Curve, descend

__all__ = ["draw_batch_sizes", "draw_cross_entropy", "draw_descent", "write_figures"]

STEP_SIZES = (("small", 0.05, 0), ("good", 0.3, 2), ("too large", 1.05, 1))
"""η in units of the bound, and the style of its path."""
NUM_STEPS = 6
WIDTH = 1.9  # of the curve, to either side

TARGETS = ((0.0, "-"), (0.1, "--"), (0.3, "-."), (0.5, ":"), (1.0, (0, (5, 1, 1, 1, 1, 1))))
"""y of the cross-entropies drawn, and their dashes."""


@style.styled()
def write_figures(folder: Path, comparison: Comparison) -> list[Path]:
    """Write descent.png, batch_size.png and cross_entropy.png into a folder; return their paths.

    The folder is made if it isn't there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    batch_sizes = (
        f"{comparison.num_examples:,} images of {comparison.data_name}, no hidden layer, softmax; "
        "losses with the best η for each size"
    )
    figures = {
        "descent": ("Gradient descent on C = v²", draw_descent()),
        "batch_size": (batch_sizes, draw_batch_sizes(comparison)),
        "cross_entropy": ("Cross-entropy by output a and target y", draw_cross_entropy()),
    }
    for name, (title, figure) in figures.items():
        style.save(figure, folder / f"{name}.png", title)
    return [folder / f"{name}.png" for name in figures]


def draw_descent() -> Figure:
    """Draw the path of a small, a good and a too large η down C = v², and C by step."""
    curve = CURVES[0]
    figure = Figure((12, 3.4), layout="constrained")
    *panels, by_step = figure.subplots(1, 4)
    for panel, (name, fraction, number) in zip(panels, STEP_SIZES, strict=True):
        points = descend(curve, fraction, NUM_STEPS)
        _draw_path(panel, curve, points, _look(number))
        panel.set_title(f"{name}: η = {fraction:g} · 2/C″")
        by_step.plot(curve.cost(points).numpy(), label=name, **_look(number))
    panels[0].set_ylabel(f"C = {curve.name}")
    by_step.set(yscale="log", xlabel="step", ylabel="C (log scale)")
    by_step.set_title("C falls while η < 2/C″")
    style.set_log_ticks(by_step.yaxis)
    by_step.legend()
    return figure


def _draw_path(axes: Axes, curve: Curve, points: torch.Tensor, look: dict[str, Any]) -> None:
    v = torch.linspace(-WIDTH, WIDTH, 201, dtype=torch.float64)
    costs = curve.cost(points)
    axes.plot(v.numpy(), curve.cost(v).numpy(), color="0.75", lw=1.2, zorder=1)
    axes.plot(points.numpy(), costs.numpy(), lw=0.9, **look)
    axes.text(points[0].item() - 0.15, costs[0].item(), "start", ha="right", va="center", size=8)
    axes.set(xlabel="v", xlim=(-WIDTH, WIDTH), ylim=(-0.1, WIDTH**2))


def draw_batch_sizes(comparison: Comparison) -> Figure:
    """Draw time per update, cosine with the full gradient and losses by mini-batch size."""
    measurements = comparison.measurements
    sizes = [m.size for m in measurements]
    figure = Figure((12, 3.6), layout="constrained")
    times, cosines, losses = figure.subplots(1, 3)
    for axes in (times, cosines, losses):
        axes.set(xscale="log", xlabel="mini-batch size")
        axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
        axes.minorticks_off()
    times.plot(sizes, [m.mean_update_s * 1e6 for m in measurements], **_look(0))
    times.set_ylabel("time per update (µs, log scale)")
    means, spreads = [m.cosine_mean for m in measurements], [m.cosine_std for m in measurements]
    cosines.errorbar(sizes, means, spreads, capsize=3, label="mean ± spread", **_look(2))
    cosines.set(ylabel="cosine with the full gradient", ylim=(-0.5, 1.1))
    after_epochs, after_time = (
        f"after {NUM_EPOCHS} epochs",
        f"after {comparison.seconds:g} s of updates",
    )
    losses.plot(sizes, [m.after_epochs.loss for m in measurements], label=after_epochs, **_look(3))
    losses.plot(sizes, [m.after_time.loss for m in measurements], label=after_time, **_look(4))
    losses.set_ylabel("training loss (log scale)")
    for axes in (times, losses):
        low, high = axes.dataLim.intervaly
        axes.set(yscale="log", ylim=(low / 2, high * 2))  # room for ticks, however little it spans
        style.set_log_ticks(axes.yaxis)
    for axes in (cosines, losses):
        axes.legend(loc="upper left")
    return figure


def draw_cross_entropy() -> Figure:
    """Draw the cross-entropy by a for several y: lowest at a = y, where it is the entropy."""
    figure = Figure((5.6, 4.1), layout="constrained")
    axes = figure.subplots()
    a = torch.linspace(0.005, 0.995, 397, dtype=torch.float64)
    for (y, dashes), color in zip(TARGETS, style.COLORS, strict=False):
        target = torch.full_like(a, y)
        costs, lowest = cross_entropy(a, target), binary_entropy(target)[0].item()
        axes.plot(a.numpy(), costs.numpy(), color=color, ls=dashes, label=f"y = {y:g}")
        axes.plot([y], [lowest], color=color, marker="o", ms=5, clip_on=False, zorder=3)
    entropy = binary_entropy(a).numpy()
    axes.plot(a.numpy(), entropy, color="0.5", lw=1, label="binary entropy, a = y")
    axes.set(xlabel="a", ylabel="C", xlim=(0, 1), ylim=(0, 3))
    axes.legend(loc="upper center", ncols=2)
    return figure


def _look(number: int) -> dict[str, Any]:
    return {"color": style.COLORS[number], "marker": style.MARKERS[number], "ms": 4}
