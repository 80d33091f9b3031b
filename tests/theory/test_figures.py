"""The figures of the theory: PNGs with nothing cut off, that show what they should."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.theory.batch_size import Comparison
from pipeline.theory.figures import (
    draw_batch_sizes,
    draw_cross_entropy,
    draw_descent,
    write_figures,
)
from tests.report.looking import pixels
from tests.theory.batch_size.made_up import best, measurement

SIZES = (1, 10, 100, 1000, 10_000)


@pytest.fixture
def comparison() -> Comparison:
    measurements = [
        measurement(size, 7e-5 + 4e-7 * size, 0.25 * n, best(0.3 + n), best(0.2))
        for n, size in enumerate(SIZES)
    ]
    return Comparison("mnist", 10_000, 1.0, measurements)


def test_every_figure_is_a_png_with_white_edges(tmp_path: Path, comparison: Comparison):
    folder = tmp_path / "not" / "there"
    paths = write_figures(folder, comparison)
    assert [path.name for path in paths] == ["descent.png", "batch_size.png", "cross_entropy.png"]
    assert sorted(paths) == sorted(folder.iterdir())
    for path in paths:
        pixels(path)


def test_the_path_of_a_too_large_rate_goes_up():
    *panels, by_step = draw_descent().axes
    assert [axes.get_title().partition(":")[0] for axes in panels] == ["small", "good", "too large"]
    small, good, large = (np.asarray(line.get_ydata()) for line in by_step.lines)
    assert (np.diff(small) < 0).all()
    assert (np.diff(large) > 0).all()
    assert good[-1] < small[-1]


def test_batch_sizes_are_compared_by_time_noise_and_loss(comparison: Comparison):
    times, cosines, losses = draw_batch_sizes(comparison).axes
    assert all(axes.get_xlabel() == "mini-batch size" for axes in (times, cosines, losses))
    assert np.asarray(times.lines[0].get_ydata()) == pytest.approx(
        [m.mean_update_s * 1e6 for m in comparison.measurements]
    )
    legend = losses.get_legend()
    assert legend is not None
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels == ["after 2 epochs", "after 1 s of updates"]


def test_minima_of_the_cross_entropy_lie_on_the_entropy():
    (axes,) = draw_cross_entropy().axes
    minima = [line for line in axes.lines if line.get_marker() == "o"]
    assert [float(np.asarray(line.get_xdata())[0]) for line in minima] == [0, 0.1, 0.3, 0.5, 1]
