from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb

from pipeline.report import study_figures, style
from pipeline.report.study_figures import Band, Panel, draw_panels, draw_runs
from tests.report.looking import assert_nothing_overlaps, legend, pixels

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from numpy.typing import NDArray

NAN = math.nan
EPOCHS = [1, 2, 3, 4, 5]
LAMBDAS = [0, 0.0001, 0.0005, 0.001, 0.005, 0.01, 0.1]
MSE = Band("mse", [[0.85, 0.88, 0.89, 0.9, 0.9], [0.83, 0.86, 0.89, 0.9, 0.92]], [0.84] * 5)
CE = Band("ce", [[0.89, 0.9, 0.91, 0.91, 0.92]] * 3, [0.88, 0.9, 0.91, 0.91, 0.92])
NLL = Band("nll", [[0.9, 0.91, 0.91, 0.92, 0.92]], [0.91, 0.9, 0.92, 0.92, 0.92])
ACCURACY = Panel("Test accuracy", "epoch", "test accuracy", EPOCHS, [MSE, CE, NLL])
LOSS = replace(ACCURACY, title="Train loss", y_label="train loss", y_scale="log")
L1 = Band("L1", [[0.92, 0.92, 0.91, 0.9, 0.83, 0.72, 0.2]] * 2, [0.92] * 5 + [0.11] * 2)
PENALTIES = Panel("Penalties", "λ", "test accuracy", LAMBDAS, [L1], x_scale="categories")
SIX = replace(ACCURACY, bands=[replace(CE, label=f"where and when {i}") for i in range(6)])
PUBLISHED = [0.67, 0.74, 0.76, 0.76, 0.77, *[0.838] * 25]
LEVELS = [0.916] * 7 + [0.84] * 10 + [0.75] * 5 + [0.57] * 2
NAMES: dict[str, Any] = {"published": PUBLISHED, "group_name": "digit lost", "y_label": "y"}
GROUPS = [0] * 7 + [1] * 10 + [2] * 5 + [4] * 2


def only(band: Band) -> Panel:
    return replace(ACCURACY, bands=[band])


def curve(level: float) -> list[float]:
    return [level - 0.3 / epoch for epoch in range(1, 31)]


def panels(folder: Path, *drawn: Panel) -> Figure:
    return draw_panels(folder / "panels.png", drawn, title="panels")


def runs(folder: Path, groups: Sequence[int] = GROUPS) -> Figure:
    curves = [curve(level) for level in LEVELS[: len(groups)]]
    return draw_runs(folder / "runs.png", curves, groups, title="runs", **NAMES)


def lines(figure: Figure, panel: int = 0) -> list[Line2D]:
    return list(figure.axes[panel].get_lines())


def heights(line: Line2D) -> list[float]:
    return np.asarray(line.get_ydata()).tolist()


def tick_labels(figure: Figure, panel: int = 0) -> list[str]:
    FigureCanvasAgg(figure).draw()
    return [text.get_text() for text in figure.axes[panel].get_xticklabels()]


def shows(image: NDArray[np.float64], color: str) -> bool:
    return bool((np.abs(image - to_rgb(color)).max(axis=-1) < 0.02).sum() > 50)


@pytest.mark.parametrize(
    "drawn",
    [
        [ACCURACY],
        [LOSS, ACCURACY],
        [LOSS, ACCURACY, PENALTIES],
        [LOSS, ACCURACY, PENALTIES, SIX, LOSS],
        [SIX],
        [replace(SIX, title=""), PENALTIES],
        [only(NLL)],
        [replace(SIX, bands=[replace(CE, label=f"band {i} " + "x" * 90) for i in range(9)])],
    ],
    ids=["one", "two", "three", "five", "six bands", "untitled", "one seed", "long labels"],
)
def test_any_panels_are_drawn(tmp_path: Path, drawn: list[Panel]) -> None:
    title = "Problem 4.1: $three$ losses 数字 " * 5
    assert_nothing_overlaps(draw_panels(tmp_path / "panels.png", drawn, title=title))
    image = pixels(tmp_path / "panels.png")
    assert shows(image, style.COLORS[0])


@pytest.mark.parametrize(
    "panel",
    [
        only(Band("nothing", [])),
        only(Band("all missing", [[NAN] * 5] * 2)),
        only(Band("diverged", [[0.1, 1e300, math.inf, -math.inf, NAN]], [0.1] * 5)),
        replace(LOSS, bands=[Band("zeros", [[0.0, -1.0, 0.1, 0.01, 0.0]] * 2, [0.0] * 5)]),
        replace(LOSS, bands=[Band("narrow", [[0.33, 0.31, 0.29, 0.28, 0.28]] * 2)]),
        replace(LOSS, bands=[Band("nothing", [])]),
        Panel("$", "λ $x", "数字", [3], [Band("$\\frac{$", [[0.1], [0.2]], [0.15])]),
        Panel("", "", "", list(range(1, 101)), [Band("a", [[0.5, 0.6] * 50] * 5, [0.4] * 100)]),
        replace(PENALTIES, x_scale="linear"),
    ],
)
def test_odd_panels_are_drawn(tmp_path: Path, panel: Panel) -> None:
    draw_panels(tmp_path / "panel.png", [panel], title="")
    pixels(tmp_path / "panel.png")


def test_a_band_is_its_mean_and_range_beside_what_was_published(tmp_path: Path) -> None:
    figure = panels(tmp_path, only(MSE))
    mean, published = lines(figure)
    assert heights(mean) == pytest.approx([0.84, 0.87, 0.89, 0.9, 0.91])
    assert heights(published) == [0.84] * 5
    assert mean.get_color() == published.get_color()
    assert mean.get_linestyle() == "-"
    assert published.get_linestyle() == "--"
    assert published.get_markerfacecolor() == "none"
    (shade,) = figure.axes[0].collections
    outline = shade.get_paths()[0].vertices
    for point in ((1, 0.83), (1, 0.85), (5, 0.9), (5, 0.92)):
        assert np.isclose(outline, point).all(axis=1).any()


def test_a_missing_run_is_left_out_and_a_point_without_any_is_a_gap(tmp_path: Path) -> None:
    figure = panels(tmp_path, only(Band("a", [[1, NAN, 3, NAN, 5], [2, NAN, NAN, NAN, 7]])))
    (mean,) = lines(figure)
    assert heights(mean) == pytest.approx([1.5, NAN, 3, NAN, 6], nan_ok=True)
    (shade,) = figure.axes[0].collections
    assert len(shade.get_paths()) == 3


def test_a_point_between_two_gaps_is_visible(tmp_path: Path) -> None:
    alone = [NAN] * 10 + [0.5] + [NAN] * 10
    panel = Panel("", "epoch", "y", list(range(21)), [Band("a", [alone])])
    draw_panels(tmp_path / "alone.png", [panel], title="")
    draw_panels(tmp_path / "none.png", [replace(panel, bands=[Band("a", [])])], title="")
    middle = np.s_[100:400, 600:900]
    assert (pixels(tmp_path / "alone.png")[middle].min(axis=-1) < 0.3).any()
    assert not (pixels(tmp_path / "none.png")[middle].min(axis=-1) < 0.3).any()


@pytest.mark.parametrize("values", [[], [[NAN] * 5] * 3])
def test_a_band_without_values_shows_what_was_published(
    tmp_path: Path, values: list[list[float]]
) -> None:
    figure = panels(tmp_path, only(Band("mse", values, [0.84] * 5)))
    (published,) = lines(figure)
    assert heights(published) == [0.84] * 5
    assert not figure.axes[0].collections
    assert legend(figure) == ["mse", "dashed, hollow: published"]


def test_one_seed_has_no_range(tmp_path: Path) -> None:
    figure = panels(tmp_path, only(NLL))
    assert not figure.axes[0].collections
    assert legend(figure) == ["nll", "dashed, hollow: published"]


def test_one_legend_names_each_band_once_and_explains_the_kinds(tmp_path: Path) -> None:
    figure = panels(tmp_path, LOSS, ACCURACY, PENALTIES)
    assert len(figure.legends) == 1
    assert legend(figure) == [
        "mse",
        "ce",
        "nll",
        "L1",
        "dashed, hollow: published",
        "line: mean, shaded: range of the seeds",
    ]


def test_a_band_looks_the_same_in_every_panel(tmp_path: Path) -> None:
    figure = panels(tmp_path, ACCURACY, replace(LOSS, bands=[NLL, MSE]))
    (mse, nll), (nll_again, mse_again) = lines(figure)[::4], lines(figure, 1)[::2]
    assert mse.get_color() == mse_again.get_color() != nll.get_color()
    assert nll.get_color() == nll_again.get_color()


def test_bands_of_one_colour_have_different_markers() -> None:
    looks = [study_figures._look(index, 7) for index in range(49)]
    assert len({(look["color"], look["marker"]) for look in looks}) == 49


@pytest.mark.parametrize("num_epochs", [1, 2, 5, 30])
def test_epochs_are_whole_numbers(tmp_path: Path, num_epochs: int) -> None:
    epochs = list(range(1, num_epochs + 1))
    panel = Panel("", "epoch", "y", epochs, [Band("a", [epochs, epochs])])
    labels = tick_labels(panels(tmp_path, panel))
    assert labels
    assert all(1 <= int(label) <= num_epochs for label in labels)


def test_categories_are_evenly_spaced_in_rising_order_with_their_values(tmp_path: Path) -> None:
    band = Band("a", [[0.9, 0.4, 0.8]], [0.91, 0.41, 0.81])
    dropout = Panel("", "p(keep)", "accuracy", [1.0, 0.2, 0.5], [band], x_scale="categories")
    figure = panels(tmp_path, PENALTIES, dropout)
    assert tick_labels(figure) == ["0", "1e-4", "5e-4", "1e-3", "5e-3", "0.01", "0.1"]
    assert tick_labels(figure, 1) == ["0.2", "0.5", "1"]
    mean, published = lines(figure, 1)
    assert np.asarray(mean.get_xdata()).tolist() == [0, 1, 2]
    assert heights(mean) == [0.4, 0.8, 0.9]
    assert heights(published) == [0.41, 0.81, 0.91]


def test_a_log_scale_leaves_out_what_is_not_positive(tmp_path: Path) -> None:
    panel = replace(PENALTIES, y_scale="log", bands=[Band("a", [[0.0, *[1] * 6]])])
    (mean,) = lines(panels(tmp_path, panel))
    assert math.isnan(heights(mean)[0])
    assert heights(mean)[1:] == [1] * 6


def test_runs_are_drawn_in_the_colours_of_their_groups(tmp_path: Path) -> None:
    path = tmp_path / "runs.png"
    curves = [curve(level) for level in LEVELS]
    draw_runs(path, curves, GROUPS, title="Problem 1.3: test accuracy of 24 runs", **NAMES)
    image = pixels(path)
    assert all(shows(image, color) for color in [*style.COLORS[:4], "black"])
    assert not shows(image, style.COLORS[4])


def test_the_legend_of_the_runs_counts_them(tmp_path: Path) -> None:
    figure = runs(tmp_path)
    assert_nothing_overlaps(figure)
    assert legend(figure) == [
        "0 digits lost (7 runs)",
        "1 digit lost (10 runs)",
        "2 digits lost (5 runs)",
        "4 digits lost (2 runs)",
        "published",
    ]
    assert legend(runs(tmp_path, [1])) == ["1 digit lost (1 run)", "published"]


def test_the_published_curve_stands_out(tmp_path: Path) -> None:
    *own, published = lines(runs(tmp_path))
    assert len(own) == 24
    assert heights(published) == PUBLISHED
    assert published.get_color() == "black"
    assert published.get_linestyle() == "--"
    assert published.get_linewidth() > 2 * own[0].get_linewidth()


def test_each_run_ends_in_a_dot_beside_what_was_published(tmp_path: Path) -> None:
    figure = runs(tmp_path)
    assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim()
    *dots, published = lines(figure, 1)
    assert set(heights(published)) == {0.838}
    ends = [height for of_a_group in dots for height in heights(of_a_group)]
    assert sorted(ends) == sorted(curve(level)[-1] for level in LEVELS)
    places = np.sort(np.asarray(dots[1].get_xdata()))
    assert len(places) == 10
    assert np.diff(places).min() > 0.02


@pytest.mark.parametrize(
    ("curves", "groups"),
    [
        ([], []),
        ([[0.1]], [3]),
        ([[0.1, NAN, 0.2], [0.1, math.inf, NAN]], [0, 1]),
        ([[0.1, 0.2], [0.3]], [0, 0]),
        ([[0.1 * group, 0.2] for group in range(10)], list(range(10))),
    ],
    ids=["none", "one", "diverged", "unequal", "ten groups"],
)
def test_odd_runs_are_drawn(tmp_path: Path, curves: list[list[float]], groups: list[int]) -> None:
    draw_runs(tmp_path / "runs.png", curves, groups, title="", **NAMES)
    pixels(tmp_path / "runs.png")
