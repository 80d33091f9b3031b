from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

from pipeline.report import figures
from pipeline.report.figures import Curves, draw_confusion, draw_curves
from tests.report.looking import assert_nothing_overlaps, pixels

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

LOSS = [0.338, 0.300, 0.285, 0.280, 0.273]
ACCURACY = [0.904, 0.917, 0.920, 0.921, 0.921]
LONG = "regularizer=l1 strength=0.001 model=mlp optimizer=sgd loss=nll seed=0"


def curves(loss: Sequence[float], accuracy: Sequence[float]) -> Curves:
    """A run's curves: on the validation examples a little worse than on the training examples."""
    return {
        "train/loss": loss,
        "val/loss": [1.1 * value for value in loss],
        "train/accuracy": accuracy,
        "val/accuracy": [0.98 * value for value in accuracy],
    }


def confusion(num_confused: int = 0, num_classes: int = 10) -> NDArray[np.integer]:
    """A thousand examples of each class, all right but for some of the second one."""
    counts = np.diag([1000] * num_classes)
    counts[1, :2] += [num_confused, -num_confused]
    return counts


def draw_classes(
    path: Path,
    counts: NDArray[np.integer],
    classes: Sequence[str] | None = None,
    title: str = "nll seed=0",
) -> Figure:
    """The figure of confusions, of classes that are called by their numbers if nobody says."""
    names = [str(number) for number in range(len(counts))] if classes is None else classes
    return draw_confusion(path, counts, classes=names, title=title)


def axis_names(figure: Figure) -> tuple[list[str], list[str]]:
    """The names of the classes along both axes."""
    axes = figure.axes[0]
    columns, rows = axes.get_xticklabels(), axes.get_yticklabels()
    return [it.get_text() for it in columns], [it.get_text() for it in rows]


@pytest.mark.parametrize("title", ["", "nll seed=0", "a $b$ _c 数字 \n λ", LONG * 3])
def test_any_title_is_drawn(tmp_path: Path, title: str) -> None:
    figure = draw_curves(tmp_path / "curves.png", curves(LOSS, ACCURACY), title=title)
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
    figure = draw_curves(
        tmp_path / "curves.png", curves(train_loss, test_accuracy), title="nll seed=0"
    )
    assert_nothing_overlaps(figure)
    pixels(tmp_path / "curves.png")


@pytest.mark.parametrize(
    "counts",
    [
        confusion(),
        confusion(30),
        confusion(500, num_classes=2),
        np.zeros((10, 10), dtype=np.int64),
        100_000 * confusion(30),
        confusion(30, num_classes=26),
        confusion(30, num_classes=62),
        1000 * confusion(30, num_classes=26),
    ],
    ids=["perfect", "confused", "two", "nothing counted", "a billion", "26", "62", "26 millions"],
)
def test_any_confusion_is_drawn(tmp_path: Path, counts: NDArray[np.integer]) -> None:
    figure = draw_classes(tmp_path / "confusion.png", counts, title=LONG)
    assert_nothing_overlaps(figure)
    pixels(tmp_path / "confusion.png")
    assert max(figure.get_size_inches()) < 16


@pytest.mark.parametrize(
    "classes",
    [
        ["benign", "malignant"],
        ["W" * 100, "i" * 100, "two\nlines", "$x$", ""],
        ["数", "字", "naïve"],
        ["T-shirt/top", *("a rather long name" + letter for letter in "abcdefghijklmnopqrstuvw")],
    ],
    ids=["short", "long", "not in the font", "two dozen"],
)
def test_classes_of_any_name_are_drawn(tmp_path: Path, classes: list[str]) -> None:
    counts = confusion(30, num_classes=len(classes))
    figure = draw_classes(tmp_path / "confusion.png", counts, classes)
    assert_nothing_overlaps(figure)
    pixels(tmp_path / "confusion.png")
    names, of_rows = axis_names(figure)
    assert names == of_rows
    assert len(set(names)) == len(classes)


def test_classes_keep_their_names_and_their_order(tmp_path: Path) -> None:
    classes = ["zebra", "ant", "10", "9"]
    figure = draw_classes(tmp_path / "it.png", confusion(5, num_classes=4), classes)
    assert axis_names(figure) == (classes, classes)
    assert figure.axes[0].get_xlabel() == "predicted class"
    assert figure.axes[0].get_ylabel() == "true class"


def test_names_are_turned_where_they_would_touch(tmp_path: Path) -> None:
    counts = confusion(num_classes=5)
    for classes, angle in ((list("abcde"), 0), (["a pair of boots", *"bcde"], 90)):
        figure = draw_classes(tmp_path / "it.png", counts, classes)
        assert {it.get_rotation() for it in figure.axes[0].get_xticklabels()} == {angle}


@pytest.mark.parametrize(
    ("counts", "are_told"),
    [
        (confusion(30, num_classes=26), True),
        (confusion(30, num_classes=47), False),
        (10_000 * confusion(30, num_classes=10), True),
        (10_000 * confusion(30, num_classes=26), False),
    ],
    ids=["26 thousand", "47 thousand", "100 million", "260 million"],
)
def test_counts_are_told_where_they_fit(
    tmp_path: Path, counts: NDArray[np.integer], are_told: bool
) -> None:
    figure = draw_classes(tmp_path / "it.png", counts)
    told = [text.get_text() for text in figure.axes[0].texts]
    assert told == (list(map(str, counts.ravel().tolist())) if are_told else [])


def test_of_a_thousand_classes_the_most_confused_are_shown_and_the_title_says_so(
    tmp_path: Path,
) -> None:
    counts = confusion(num_classes=1000)
    counts[123, 987] = 5
    figure = draw_classes(tmp_path / "it.png", counts, [f"class {it}" for it in range(1000)])
    assert_nothing_overlaps(figure)
    pixels(tmp_path / "it.png")
    names, _ = axis_names(figure)
    assert len(names) == 24
    assert {"class 123", "class 987"} <= set(names)
    title = figure.get_suptitle()
    assert title == "nll seed=0, the 24 most confused of 1,000 classes, accuracy 1.0000"


def test_a_share_is_one_of_all_examples_of_its_class(tmp_path: Path) -> None:
    counts = confusion(num_classes=1000)
    counts[0] = 1
    figure = draw_classes(tmp_path / "it.png", counts)
    (image,) = figure.axes[0].images
    shares = image.get_array()
    assert shares is not None
    assert shares[0].max() == pytest.approx(0.001)


def test_one_confusion_in_a_hundred_is_visible(tmp_path: Path) -> None:
    draw_classes(tmp_path / "perfect.png", confusion(0), title="")
    draw_classes(tmp_path / "confused.png", confusion(10), title="")
    difference = np.abs(pixels(tmp_path / "perfect.png") - pixels(tmp_path / "confused.png"))
    num_visible = (difference.max(axis=-1) > 0.1).sum()
    assert num_visible > 1000  # most of a cell, far more than its text


def test_the_last_values_stand_beside_the_curves(tmp_path: Path) -> None:
    figure = draw_curves(tmp_path / "curves.png", curves(LOSS, [*ACCURACY, math.nan]), title="nll")
    told = [[text.get_text() for text in axes.texts] for axes in figure.axes]
    assert told == [["0.2730", "0.3003"], []]
    axes = figure.axes[0]
    at = axes.transAxes.transform(axes.texts[0].get_position())
    assert axes.transData.inverted().transform(at)[1] == pytest.approx(LOSS[-1])


def test_train_and_validation_are_named_and_differ_without_colour(tmp_path: Path) -> None:
    figure = draw_curves(tmp_path / "curves.png", curves(LOSS, ACCURACY), title="nll")
    for axes in figure.axes:
        lines = {str(line.get_label()): line.get_linestyle() for line in axes.lines}
        assert list(lines) == ["train", "validation"]
        assert len(set(lines.values())) == 2


def test_without_validation_examples_the_test_examples_are_shown(tmp_path: Path) -> None:
    shown = {"train/loss": LOSS, "test/loss": LOSS, "train/accuracy": ACCURACY}
    figure = draw_curves(tmp_path / "curves.png", shown | {"test/accuracy": ACCURACY}, title="")
    assert [line.get_label() for line in figure.axes[0].lines] == ["train", "test"]


def test_a_line_joins_the_epochs_that_were_evaluated_and_breaks_at_what_has_diverged(
    tmp_path: Path,
) -> None:
    losses = [math.nan, 0.5, math.nan, 0.4, math.nan, math.inf, math.nan, 0.3]
    figure = draw_curves(tmp_path / "curves.png", curves(losses, losses), title="")
    epochs, values = figure.axes[0].lines[0].get_data()
    assert np.asarray(epochs).tolist() == [2, 4, 6, 8]
    assert list(np.isnan(values)) == [False, False, True, False]


def test_the_title_keeps_both_its_ends_and_the_accuracy(tmp_path: Path) -> None:
    figure = draw_classes(tmp_path / "confusion.png", confusion(), title=f"first {LONG} last")
    title = figure.get_suptitle()
    assert title.startswith("first ")
    assert title.endswith("last, accuracy 1.0000")
    assert "…" in title


def test_drawing_leaves_the_settings_of_others_alone(tmp_path: Path) -> None:
    before = dict(matplotlib.rcParams)
    draw_curves(tmp_path / "curves.png", curves(LOSS, ACCURACY), title="")
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
        paths = [tmp_path / f"{name}-{i}.png" for i in range(2)]
        draw_curves(paths[0], curves(LOSS, ACCURACY), title="nll")
        draw_classes(paths[1], confusion(30), title="nll")
        return [path.read_bytes() for path in paths]

    alone = draw_all("alone")
    with ThreadPoolExecutor(max_workers=2) as threads:
        together = list(threads.map(draw_all, ["first", "second", "third", "fourth"]))
    assert together == [alone] * 4
