"""Figures of any answer can be drawn, and stay small."""

from __future__ import annotations

import json
import math
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread

from pipeline.comparison.answer import answer
from pipeline.report.charts.classes import classes_chart, confusion_chart, weights_chart
from pipeline.report.charts.comparison import comparison_chart, told_runs
from pipeline.report.charts.effects import effects_chart, sensitivity_chart
from pipeline.report.charts.gaps import gap_chart
from pipeline.report.charts.importance import importance_chart
from pipeline.report.charts.spec import Spec, save_png
from pipeline.tracking.record import RunResult
from pipeline.trained.importance import Importance
from tests.comparison.hand_made import grid, run, subject
from tests.report.looking import pixels

LONG = "a long name with λ ≥ ½ and $x$ " * 5


def with_curves(runs: list[RunResult], num_epochs: int = 3) -> list[RunResult]:
    return [
        replace(it, curves={"val/accuracy": [it.metrics["val/accuracy"]] * num_epochs})
        for it in runs
        if it.status == "FINISHED"
    ]


def score(values: Mapping[str, str], seed: int) -> float:
    return 0.9 + float(np.random.default_rng([seed, *map(ord, str(values))]).normal(0, 0.01))


def runs_of(num_cells: int, num_seeds: int) -> list[RunResult]:
    cells = [{"loss.name": "nll", "optimizer.lr": str(0.001 * 2**i)} for i in range(num_cells)]
    return grid(cells, num_seeds, score)


ODD = {
    "one cell": runs_of(1, 3),
    "one seed": runs_of(3, 1),
    "28 cells": runs_of(28, 2),
    "500 runs": runs_of(100, 5),
    "long names": grid([{"loss.name": LONG + name} for name in "ab"], 2, score),
    "three keys": grid(
        [
            {"loss.name": loss, "optimizer.lr": rate, "model.hidden": hidden}
            for loss in ("mse", "nll")
            for rate in ("0.1", "0.5")
            for hidden in ("[]", "[30]")
        ],
        2,
        score,
    ),
    "a hole": [*runs_of(2, 2), run({"optimizer.lr": "9"}, 0, math.nan, status="FAILED")],
}


@pytest.mark.parametrize("runs", ODD.values(), ids=list(ODD))
def test_figures_of_any_answer_are_drawn(tmp_path: Path, runs: list[RunResult]):
    found = answer(subject(runs))
    drawn = [
        comparison_chart(found, with_curves(runs)),
        effects_chart([found]),
        sensitivity_chart(found),
        gap_chart(found),
    ]
    for number, spec in enumerate(drawn):
        if spec is not None:
            save_png(spec, tmp_path / f"{number}.png")
            assert pixels(tmp_path / f"{number}.png").std() > 0


def marks(spec: Any) -> int:
    """How many rows of data a figure holds, in all its parts."""
    if isinstance(spec, dict):
        values = len(spec["data"]["values"]) if "data" in spec else 0
        return values + sum(marks(part) for key, part in spec.items() if key != "data")
    return sum(map(marks, spec)) if isinstance(spec, list) else 0


def test_500_runs_have_no_more_lines_and_names_than_one_can_read():
    runs = ODD["500 runs"]
    spec = comparison_chart(answer(subject(runs)), with_curves(runs))
    lines = {point["cell"] for point in spec["hconcat"][1]["data"]["values"]}
    assert len(lines) == 6
    assert marks(spec) <= 40 + 6 * 3


def test_the_curves_of_few_runs_are_read_and_those_are_all_that_it_shows():
    runs = ODD["500 runs"]
    found = answer(subject(runs))
    told = told_runs(found)
    assert len(told) == 6 * 5
    assert comparison_chart(found, with_curves(told)) == comparison_chart(found, with_curves(runs))


def test_lines_differ_without_colour():
    runs = ODD["28 cells"]
    spec = comparison_chart(answer(subject(runs)), with_curves(runs))
    dashes = spec["hconcat"][1]["layer"][1]["encoding"]["strokeDash"]["scale"]["range"]
    assert len({json.dumps(dash) for dash in dashes}) == 6


def test_a_number_that_spans_much_gets_a_log_scale_and_a_small_one_none():
    for num_cells, kind in ((10, "log"), (2, None)):
        spec = effects_chart([answer(subject(runs_of(num_cells, 2)))])
        assert spec is not None
        x = spec["vconcat"][0]["hconcat"][0]["encoding"]["x"]
        assert x["scale"].get("type") == kind


def test_zero_beside_numbers_that_span_much_has_a_place_on_their_log_scale():
    values = [0.0, 1e-4, 1e-3, 1e-2, 0.1]
    cells = [{"regularizer.strength": str(value)} for value in values]
    spec = effects_chart([answer(subject(grid(cells, 3, lambda _, seed: 0.9 + seed / 1000)))])
    assert spec is not None
    x = spec["vconcat"][0]["hconcat"][0]["encoding"]["x"]
    assert x["scale"] == {"type": "symlog", "constant": 1e-4}
    assert x["axis"]["values"] == values
    assert "log scale" in x["title"]


def test_what_moves_the_mean_most_comes_first_beside_what_a_seed_does():
    cells = [
        {"loss.name": loss, "optimizer.lr": rate}
        for loss in ("mse", "nll")
        for rate in ("0.1", "0.5")
    ]

    def strong(values: Mapping[str, str], seed: int) -> float:
        of_loss, of_rate = (
            0.01 * (values["loss.name"] == "nll"),
            0.1 * float(values["optimizer.lr"]),
        )
        return 0.8 + of_loss + of_rate + 0.001 * seed

    spec = sensitivity_chart(answer(subject(grid(cells, 3, strong))))
    assert spec is not None
    told = {it["what"]: it["range"] for it in spec["data"]["values"]}
    assert list(told) == ["lr", "loss", "another seed"]
    assert told == pytest.approx({"lr": 0.04, "loss": 0.01, "another seed": 0.002})


def numbered(count: int) -> list[str]:
    return [f"class {number}" for number in range(count)]


NOISE = np.random.default_rng(0)


@pytest.mark.parametrize(
    "spec",
    [
        confusion_chart(np.diag([10] * 10), numbered(10)),
        confusion_chart(np.zeros((2, 2), dtype=np.int64), ["no", "yes"]),
        confusion_chart(np.diag([10] * 3), [LONG + "a", "two\nlines", "数字"]),
        confusion_chart(np.diag([10_000_000] * 47), numbered(47)),
        confusion_chart(np.diag([10] * 1000), numbered(1000)),
        classes_chart(np.diag([10] * 3), numbered(3)),
        classes_chart(np.zeros((2, 2), dtype=np.int64), ["no", "yes"]),
        classes_chart(np.diag([10] * 1000), numbered(1000)),
        weights_chart(NOISE.normal(size=(10, 784)), numbered(10), (28, 28, 1)),
        weights_chart(np.zeros((2, 4)), ["no", "yes"], (2, 2, 1)),
        weights_chart(NOISE.normal(size=(3, 200)), numbered(3), (1, 200, 1)),
        weights_chart(NOISE.normal(size=(2, 300)), numbered(2), (20, 5, 3)),
        weights_chart(
            np.sin(np.arange(0, 300, 1e-4).reshape(100, -1)), numbered(100), (100, 100, 3)
        ),
        importance_chart([Importance(LONG, 0.0, 0.0, 0.0)], "validation"),
        importance_chart(
            [Importance(f"x{i}", i - 5, i - 6, i - 4) for i in range(100)], "validation"
        ),
    ],
    ids=[
        "confusion",
        "nothing counted",
        "long names",
        "47 classes",
        "1000 classes",
        "classes",
        "classes without examples",
        "1000 accuracies",
        "weights",
        "no weights",
        "weights of a line",
        "weights of colours",
        "weights of large images",
        "a column",
        "100 columns",
    ],
)
def test_figures_of_a_cell_are_drawn_and_stay_small(tmp_path: Path, spec: Spec):
    save_png(spec, tmp_path / "figure.png")
    drawn = pixels(tmp_path / "figure.png")
    assert drawn.std() > 0
    assert max(drawn.shape) < 2500
    assert len(json.dumps(spec, allow_nan=False)) < 2**20


CLASSES = ["zebra", "ant", "10", "9", "gnu"]


def test_classes_are_named_in_their_own_order():
    counts = np.arange(25).reshape(5, 5)
    by_place = confusion_chart(counts, CLASSES)
    for axis in ("x", "y"):
        assert by_place["encoding"][axis]["scale"]["domain"] == CLASSES
    told = {(it["true"], it["predicted"]): it["count"] for it in by_place["data"]["values"]}
    assert told[("ant", "9")] == counts[1, 3]
    assert classes_chart(counts, CLASSES)["encoding"]["y"]["scale"]["domain"] == CLASSES


def test_a_class_without_examples_has_a_name_and_no_accuracy():
    spec = classes_chart(np.diag([5, 0, 5, 5, 5]), CLASSES)
    assert "ant" in spec["encoding"]["y"]["scale"]["domain"]
    assert [it["class"] for it in spec["data"]["values"]] == ["zebra", "10", "9", "gnu"]


@pytest.mark.parametrize("chart", [confusion_chart, classes_chart])
def test_of_many_classes_the_most_confused_are_shown_and_the_title_says_so(
    chart: Callable[[Any, list[str]], Spec],
):
    counts = np.diag([50] * 1000)
    counts[900, 17] = 3
    spec = chart(counts, numbered(1000))
    assert spec["title"]["text"] == "the 24 most confused of 1,000 classes"
    names = spec["encoding"]["y"]["scale"]["domain"]
    assert len(names) == 24
    assert {"class 900", "class 17"} <= set(names)


def test_counts_are_told_where_they_fit():
    for num_classes, count, num_layers in ((10, 10, 2), (26, 999, 2), (26, 10**6, 1), (47, 1, 1)):
        spec = confusion_chart(np.diag([count] * num_classes), numbered(num_classes))
        assert len(spec["layer"]) == num_layers


def image_of(spec: Spec, name: str, channel: str) -> np.ndarray[Any, Any]:
    """The image of a class's weights, as red less blue."""
    (url,) = [
        it["image"]
        for it in spec["data"]["values"]
        if (it["class"], it["channel"]) == (name, channel)
    ]
    image = imread(BytesIO(b64decode(url.partition(",")[2])))
    return image[..., 0] - image[..., 2]


def test_a_weight_is_drawn_where_its_pixel_is():
    weight = np.zeros((2, 5, 3, 1))
    weight[1, 4, 0] = 1
    weight[1, 0, 2] = -1
    spec = weights_chart(weight.reshape(2, -1), ["no", "yes"], (5, 3, 1))
    drawn = image_of(spec, "yes", "grey")
    assert drawn.shape == (5, 3)
    assert drawn[4, 0] > 0.2
    assert drawn[0, 2] < -0.2
    assert np.abs(image_of(spec, "no", "grey")).max() < 0.05


def test_colours_have_an_image_each():
    weight = np.zeros((2, 5, 3, 3))
    weight[0, 1, 1, 2] = 1
    spec = weights_chart(weight.reshape(2, -1), ["no", "yes"], (5, 3, 3))
    assert image_of(spec, "no", "blue")[1, 1] > 0.2
    assert np.abs(image_of(spec, "no", "red")).max() < 0.05


@pytest.mark.parametrize(("num_channels", "num_shown"), [(1, 30), (3, 10)])
def test_of_many_classes_the_first_ones_have_images(num_channels: int, num_shown: int):
    shape = (2, 2, num_channels)
    spec = weights_chart(np.ones((62, 4 * num_channels)), numbered(62), shape)
    assert spec["title"]["text"] == f"the first {num_shown} of 62 classes"
    assert list(dict.fromkeys(it["class"] for it in spec["data"]["values"])) == numbered(num_shown)


def test_an_image_is_stored_no_larger_than_it_is_drawn():
    spec = weights_chart(np.ones((2, 400 * 100)), ["no", "yes"], (400, 100, 1))
    assert image_of(spec, "no", "grey").shape == (88, 22)


def test_the_most_important_columns_come_first_and_the_title_says_how_many_are_left_out():
    columns = [Importance(f"x{number}", 0.1 * number, 0, 9) for number in range(42)]
    spec = importance_chart(columns, "validation")
    assert spec["title"]["text"] == "the 30 most important columns; 12 more are left out"
    expected = [f"x{number}" for number in range(41, 11, -1)]
    assert [it["column"] for it in spec["data"]["values"]] == expected
    assert spec["layer"][1]["encoding"]["y"]["scale"]["domain"] == expected


def test_few_columns_are_all_shown_without_a_word():
    spec = importance_chart([Importance("b", 1, 0, 2), Importance("a", 2, 1, 3)], "validation")
    assert "title" not in spec
    assert [it["column"] for it in spec["data"]["values"]] == ["a", "b"]


def test_a_drop_whose_interval_nobody_knows_is_a_point():
    spec = importance_chart([Importance("a", 2, math.nan, math.nan)], "validation")
    (told,) = spec["data"]["values"]
    assert told == {"column": "a", "mean": 2, "low": 2, "high": 2}
