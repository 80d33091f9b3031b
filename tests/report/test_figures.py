from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

from pipeline.report import figures
from pipeline.report.figures import Curve, draw_comparison, draw_confusion, draw_curves
from tests.report.looking import assert_nothing_overlaps, legend, pixels

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

LOSS = [0.338, 0.300, 0.285, 0.280, 0.273]
ACCURACY = [0.904, 0.917, 0.920, 0.921, 0.921]
LONG = "regularizer=l1 strength=0.001 model=mlp optimizer=sgd loss=nll seed=0"


def sweep(num_runs: int, num_epochs: int = 5) -> list[Curve]:
    """Runs in rising order of accuracy; every ninth one failed."""
    return [
        Curve(
            f"regularizer=l1 strength=0.001 seed={run}",
            [0.4 + 0.3 / epoch for epoch in range(1, num_epochs + 1)],
            [0.8 + 0.0005 * run] * num_epochs,
            "FAILED" if run % 9 == 4 else "FINISHED",
        )
        for run in range(num_runs)
    ]


def confusion(num_confused: int = 0, num_classes: int = 10) -> NDArray[np.integer]:
    """A thousand examples of each digit, all right but for some ones taken for zeros."""
    counts = np.diag([1000] * num_classes)
    counts[1, :2] += [num_confused, -num_confused]
    return counts


@pytest.mark.parametrize("title", ["", "nll seed=0", "a $b$ _c 数字 \n λ", LONG * 3])
def test_any_title_is_drawn(tmp_path: Path, title: str) -> None:
    figure = draw_curves(tmp_path / "curves.png", LOSS, ACCURACY, title=title)
    assert_nothing_overlaps(figure)
    pixels(tmp_path / "curves.png")


@pytest.mark.parametrize(
    ("train_loss", "test_accuracy"),
    [
        (LOSS, ACCURACY),
        (LOSS[:1], ACCURACY[:1]),
        (LOSS * 20, ACCURACY * 20),
        ([], []),
        (LOSS, []),
        ([], ACCURACY),
        (LOSS, ACCURACY[:3]),
        ([math.nan], [math.nan]),
        ([0.5, math.nan, math.inf, -math.inf, 1e300], [0.1, math.nan, 0.1, 0.1, math.nan]),
        ([1e38, 1e-40, 0.0], [0.0, 1.0, 1.0]),
        ([0.0, 0.0], [1.0, 1.0]),
        ([0.1, -3.0], [0.0, 0.0]),
    ],
)
def test_curves_of_any_run_are_drawn(
    tmp_path: Path, train_loss: Sequence[float], test_accuracy: Sequence[float]
) -> None:
    figure = draw_curves(tmp_path / "curves.png", train_loss, test_accuracy, title="nll seed=0")
    assert_nothing_overlaps(figure)
    pixels(tmp_path / "curves.png")


@pytest.mark.parametrize(
    "counts",
    [confusion(), confusion(30), confusion(500, num_classes=2), np.zeros((10, 10), dtype=np.int64)],
    ids=["perfect", "confused", "two classes", "nothing counted"],
)
def test_any_confusion_is_drawn(tmp_path: Path, counts: NDArray[np.integer]) -> None:
    figure = draw_confusion(tmp_path / "confusion.png", counts, title=LONG)
    assert_nothing_overlaps(figure)
    pixels(tmp_path / "confusion.png")


def test_one_confusion_in_a_hundred_is_visible(tmp_path: Path) -> None:
    draw_confusion(tmp_path / "perfect.png", confusion(0), title="")
    draw_confusion(tmp_path / "confused.png", confusion(10), title="")
    difference = np.abs(pixels(tmp_path / "perfect.png") - pixels(tmp_path / "confused.png"))
    num_visible = (difference.max(axis=-1) > 0.1).sum()
    assert num_visible > 1000  # most of a cell, far more than its text


@pytest.mark.parametrize("num_epochs", [1, 5, 30])
@pytest.mark.parametrize("num_runs", [1, 3, 28, 29, 200])
def test_sweeps_of_any_size_are_drawn(tmp_path: Path, num_runs: int, num_epochs: int) -> None:
    figure = draw_comparison(
        tmp_path / "comparison.png", sweep(num_runs, num_epochs), title="losses"
    )
    assert_nothing_overlaps(figure)
    pixels(tmp_path / "comparison.png")


@pytest.mark.parametrize(
    "curves",
    [
        [],
        [Curve("crashed at once", [], [], "FAILED")],
        [Curve("loss only", LOSS, []), Curve("accuracy only", [], ACCURACY)],
        [Curve("diverged", [2.3, math.nan, math.inf], [0.1, math.nan, math.nan]), *sweep(2)],
        [Curve("_$\\frac{$ 数字 \n\t", LOSS, ACCURACY, "KILLED"), Curve(LONG * 3, LOSS, ACCURACY)],
    ],
    ids=["no run", "no epoch", "one panel each", "diverged", "odd labels"],
)
def test_odd_sweeps_are_drawn(tmp_path: Path, curves: list[Curve]) -> None:
    figure = draw_comparison(tmp_path / "comparison.png", curves, title=LONG * 3)
    assert_nothing_overlaps(figure)
    pixels(tmp_path / "comparison.png")


def test_a_sweep_without_epochs_says_so(tmp_path: Path) -> None:
    draw_comparison(tmp_path / "none.png", [], title="")
    draw_comparison(tmp_path / "crashed.png", [Curve("a", [], [])], title="")
    assert (tmp_path / "none.png").read_bytes() == (tmp_path / "crashed.png").read_bytes()


def test_the_legend_names_runs_best_first_with_what_is_unknown_last(tmp_path: Path) -> None:
    curves = [
        Curve("diverged", [math.nan], [math.nan], "FAILED"),
        Curve("loss=mse", LOSS, [0.9, 0.86]),
        Curve("crashed at once", [], [], "FAILED"),
        Curve("loss=nll", LOSS, ACCURACY),
        Curve("loss=ce", LOSS, ACCURACY, "KILLED"),
    ]
    figure = draw_comparison(tmp_path / "comparison.png", curves, title="losses")
    assert legend(figure) == [
        "0.9210  loss=nll",
        "0.9210  loss=ce (killed)",
        "0.8600  loss=mse",
        "nan  diverged (failed)",
    ]


def test_runs_of_one_label_are_all_in_the_legend(tmp_path: Path) -> None:
    figure = draw_comparison(tmp_path / "comparison.png", [Curve("a", LOSS, LOSS)] * 3, title="")
    assert legend(figure) == ["0.2730  a"] * 3


def test_the_legend_of_many_runs_counts_those_in_the_middle(tmp_path: Path) -> None:
    figure = draw_comparison(tmp_path / "comparison.png", sweep(200), title="many")
    labels = legend(figure)
    assert labels[0] == "0.8995  regularizer=l1 strength=0.001 seed=199"
    assert labels[12] == "… and 180 more"
    assert labels[-1] == "0.8000  regularizer=l1 strength=0.001 seed=0"
    assert len(labels) == 21
    assert [len(axes.lines) for axes in figure.axes] == [200, 200]


def test_the_legend_shortens_long_labels_in_the_middle(tmp_path: Path) -> None:
    curve = Curve("start " + "x" * 100 + " end", LOSS, ACCURACY)
    (label,) = legend(draw_comparison(tmp_path / "comparison.png", [curve], title=""))
    assert label.startswith("0.9210  start x")
    assert label.endswith("x end")
    assert len(label) <= 70


def test_named_runs_differ_without_colour(tmp_path: Path) -> None:
    figure = draw_comparison(tmp_path / "comparison.png", sweep(28), title="")
    for axes in figure.axes:
        styles = {(line.get_linestyle(), line.get_marker()) for line in axes.lines}
        assert len(styles) == 28


def test_the_last_values_stand_beside_the_curves(tmp_path: Path) -> None:
    figure = draw_curves(tmp_path / "curves.png", LOSS, [*ACCURACY, math.nan], title="nll")
    assert [axes.texts[0].get_text() for axes in figure.axes] == ["0.2730", "nan"]
    loss = figure.axes[0].texts[0]
    assert loss.get_position()[1] == LOSS[-1]


def test_a_line_joins_the_epochs_that_were_evaluated_and_breaks_at_what_has_diverged(
    tmp_path: Path,
) -> None:
    losses = [math.nan, 0.5, math.nan, 0.4, math.nan, math.inf, math.nan, 0.3]
    figure = draw_curves(tmp_path / "curves.png", losses, losses, title="")
    epochs, values = figure.axes[0].lines[0].get_data()
    assert np.asarray(epochs).tolist() == [2, 4, 6, 8]
    assert list(np.isnan(values)) == [False, False, True, False]


def test_the_title_keeps_both_its_ends_and_the_accuracy(tmp_path: Path) -> None:
    figure = draw_confusion(tmp_path / "confusion.png", confusion(), title=f"first {LONG} last")
    title = figure.get_suptitle()
    assert title.startswith("first ")
    assert title.endswith("last, accuracy 1.0000")
    assert "…" in title


def test_drawing_leaves_the_settings_of_others_alone(tmp_path: Path) -> None:
    before = dict(matplotlib.rcParams)
    draw_curves(tmp_path / "curves.png", LOSS, ACCURACY, title="")
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize(
    ("losses", "scale"),
    [
        ([0.02, 0.3], "log"),
        ([0.02, 0.3, 0.0], "log"),
        ([0.2, 0.3], "linear"),
        ([0.02, 0.3, -0.1], "linear"),
        ([0.0], "linear"),
        ([math.nan], "linear"),
        ([], "linear"),
    ],
)
def test_the_loss_has_a_log_scale_where_it_spans_much(losses: list[float], scale: str) -> None:
    axes = Figure().add_axes((0.1, 0.1, 0.8, 0.8))
    figures._scale_loss(axes, np.array(losses))
    assert axes.get_yscale() == scale


def test_threads_draw_the_same_figures_as_one_thread(tmp_path: Path) -> None:
    def draw_all(name: str) -> list[bytes]:
        paths = [tmp_path / f"{name}-{i}.png" for i in range(3)]
        draw_curves(paths[0], LOSS, ACCURACY, title="nll")
        draw_confusion(paths[1], confusion(30), title="nll")
        draw_comparison(paths[2], sweep(9), title="sweep")
        return [path.read_bytes() for path in paths]

    alone = draw_all("alone")
    with ThreadPoolExecutor(max_workers=2) as threads:
        together = list(threads.map(draw_all, ["first", "second", "third", "fourth"]))
    assert together == [alone] * 4
