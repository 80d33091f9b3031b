"""Figures of any answer can be drawn, and stay small."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.comparison.answer import answer
from pipeline.report.charts.comparison import comparison_chart, told_runs
from pipeline.report.charts.digits import classes_chart, confusion_chart, weights_chart
from pipeline.report.charts.effects import effects_chart, sensitivity_chart
from pipeline.report.charts.gaps import gap_chart
from pipeline.report.charts.spec import Spec, save_png
from pipeline.tracking.record import RunResult
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


@pytest.mark.parametrize(
    "spec",
    [
        confusion_chart(np.diag([10] * 10)),
        confusion_chart(np.zeros((2, 2), dtype=np.int64)),
        classes_chart(np.diag([10] * 3)),
        weights_chart(np.random.default_rng(0).normal(size=(10, 784))),
        weights_chart(np.zeros((2, 4))),
    ],
    ids=["confusion", "nothing counted", "classes", "weights", "no weights"],
)
def test_figures_of_a_cell_are_drawn(tmp_path: Path, spec: Spec):
    save_png(spec, tmp_path / "figure.png")
    assert pixels(tmp_path / "figure.png").std() > 0


def test_weights_of_inputs_that_are_no_square_image_are_no_images():
    assert weights_chart(np.zeros((3, 30))) is None
