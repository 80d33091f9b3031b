"""What the chosen run reads, in the report: columns of a table, weights of images."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests import command, trips


def report(root: Path) -> tuple[str, dict[str, Any]]:
    """The report of the last sweep, as Markdown, and the figures of its page."""
    done = command.run(
        root, f"root={root}", "--output", str(root / "report"), module="pipeline.report"
    )
    assert (done.code, done.stderr) == (0, "")
    page = (root / "report" / "report.html").read_text("utf-8")
    figures = re.search(r"const figures = (.*);\n", page)
    assert figures is not None
    return (root / "report" / "report.md").read_text("utf-8"), json.loads(figures[1])


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("table")
    path = trips.write(root / "trips.csv")
    done = command.run(
        root, "-m", *trips.OVERRIDES, f"data.path={path}", "loss=nll,ce", "seed=0,1", f"root={root}"
    )
    assert done.code == 0, done.stderr
    return root


def test_of_a_table_it_shows_which_columns_matter(table: Path):
    markdown, figures = report(table)
    assert "![Which columns the chosen run needs](importance.png)" in markdown
    columns = [row["column"] for row in figures["importance"]["data"]["values"]]
    assert set(columns[:2]) == {"age", "city"}  # the others say nothing
    assert set(columns) == set(trips.HEADER) - {"mood"}
    assert "points of validation accuracy" in json.dumps(figures["importance"])
    assert "weights" not in figures


def test_where_the_data_have_changed_a_note_takes_its_place(table: Path):
    file = table / "trips.csv"
    content = file.read_bytes()
    try:
        file.write_bytes(content + b"30,Oslo,True,80331,0,sad\n")
        changed, figures = report(table)
        file.unlink()
        gone, _ = report(table)
    finally:
        file.write_bytes(content)
    assert "importance" not in figures
    assert "There is no figure of what the chosen run reads:" in changed
    assert "trips.csv: holds other data than when the run" in changed
    assert "trips.csv: there is no such file" in gone


def test_weight_images_have_the_shape_and_the_colours_of_the_images(tmp_path: Path):
    draw = np.random.default_rng(0)
    for name, channel in (("red", 0), ("blue", 2)):
        folder = tmp_path / "own" / name
        folder.mkdir(parents=True)
        for number in range(20):
            pixels = draw.integers(0, 80, (6, 9, 3), dtype=np.uint8)
            pixels[..., channel] += 150
            Image.fromarray(pixels).save(folder / f"{number}.png")
    data = (
        "data=images",
        f"data.path={tmp_path / 'own'}",
        "data.image_size=[6,9]",
        "data.color=true",
    )
    done = command.run(
        tmp_path, "-m", *data, "loss=nll,ce", "seed=0,1", "trainer=cpu", f"root={tmp_path}"
    )
    assert done.code == 0, done.stderr
    _, figures = report(tmp_path)
    shown = figures["weights"]["data"]["values"]
    assert [(it["class"], it["channel"]) for it in shown] == [
        (name, channel) for name in ("blue", "red") for channel in ("red", "green", "blue")
    ]
    assert figures["weights"]["spec"]["width"] > figures["weights"]["spec"]["height"]
    told = command.run(
        tmp_path,
        *("last", str(tmp_path / "own" / "red" / "3.png"), f"root={tmp_path}"),
        module="pipeline.predict",
    )
    assert ": red (" in told.stdout
    promoted = command.run(tmp_path, f"root={tmp_path}", module="pipeline.promote")
    assert "row by row, three by three, 162 for each image" in promoted.stdout
