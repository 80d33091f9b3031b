"""The report's page, in a real browser, without a network."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Dialog, Page

from pipeline.comparison.answer import answer
from pipeline.report.charts.classes import classes_chart, confusion_chart, weights_chart
from pipeline.report.page import Figure, write_report
from tests import command
from tests.comparison.hand_made import grid, subject

MAX_BYTES = 5 * 2**20

GRID = ("loss=mse,nll", "optimizer.lr=0.05,0.5", "seed=range(0,3)", "trainer.max_epochs=3")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("report")
    done = command.train(root, "-m", *GRID)
    assert done.code == 0, done.stderr
    done = command.run(root, "last", f"root={root}", module="pipeline.report")
    assert (done.code, done.stderr) == (0, "")
    return root


@pytest.fixture(scope="module")
def folder(root: Path) -> Path:
    (folder,) = (root / "reports").iterdir()
    return folder


@pytest.fixture
def page(browser: Browser, folder: Path) -> Iterator[Page]:
    page = browser.new_page(color_scheme="light")
    asked: list[str] = []
    wrong: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto((folder / "report.html").as_uri())
    page.wait_for_selector("#weights svg")
    yield page
    page.close()
    assert wrong == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []


def test_it_is_one_file_that_is_not_large(folder: Path):
    assert (folder / "report.html").stat().st_size < MAX_BYTES


def test_the_answer_comes_first_and_every_figure_is_drawn(page: Page):
    assert "loss=nll is better than loss=mse" in page.inner_text(".answer >> nth=0")
    figures = page.locator(".figure")
    assert figures.count() == 7
    for number in range(figures.count()):
        assert figures.nth(number).locator("svg").count() == 1


def test_a_click_sorts_the_table(page: Page):
    table = page.locator("xpath=//h2[text()='All cells']/following::table[1]")
    column = table.locator("th", has_text="validation accuracy")

    def means() -> list[float]:
        cells = table.locator("tbody tr td:nth-child(4)").all_inner_texts()
        return [float(cell.split()[0].strip("*")) for cell in cells]

    column.click()
    assert means() == sorted(means())
    column.click()
    assert means() == sorted(means(), reverse=True)
    assert len(set(means())) > 1


def test_hovering_shows_the_numbers_of_a_mark(page: Page):
    page.locator("#sensitivity .mark-rect path").first.hover()
    tip = page.wait_for_selector("#vg-tooltip-element.visible")
    assert tip is not None
    assert "range" in tip.inner_text()


def test_it_is_dark_where_people_want_that(page: Page):
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.emulate_media(color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light
    page.wait_for_selector("#gap svg text[fill='#e6e8eb']")


def test_it_can_be_printed(page: Page):
    assert page.pdf().startswith(b"%PDF")


def test_every_number_leads_to_its_runs(root: Path, page: Page):
    page.locator("summary").click()
    shown = page.inner_text("details")
    assert all(run.info.run_id in shown for run in command.children(root))


def test_the_markdown_has_the_same_answer_and_figures_that_are_there(folder: Path):
    text = (folder / "report.md").read_text()
    assert "loss=nll is better than loss=mse" in text
    named = [line.partition("](")[2].rstrip(")") for line in text.splitlines() if "![" in line]
    assert len(named) == 7
    assert all((folder / name).read_bytes().startswith(b"\x89PNG") for name in named)


def test_the_files_are_artifacts_of_the_sweep(root: Path, folder: Path):
    kept = {path.name for path in command.artifacts(command.parent(root)).iterdir()}
    assert {path.name for path in folder.iterdir()} <= kept


def test_another_folder_may_hold_what_else_there_is(root: Path, tmp_path: Path):
    (tmp_path / "private.txt").write_text("of nobody's business")
    done = command.run(tmp_path, "--output", ".", f"root={root}", module="pipeline.report")
    assert done.code == 0, done.stderr
    assert (tmp_path / "report.html").is_file()
    assert not (command.artifacts(command.parent(root)) / "private.txt").exists()


def test_a_learning_curve_is_the_mean_of_the_runs(root: Path, folder: Path):
    page = (folder / "report.html").read_text()
    figures = json.loads(page.partition("const figures = ")[2].partition(";\n")[0])
    points = figures["comparison"]["hconcat"][1]["data"]["values"]
    (last,) = [
        point for point in points if (point["cell"], point["epoch"]) == ("loss=nll lr=0.5", 3)
    ]
    of_cell = [
        run.data.metrics["val/accuracy"]
        for run in command.children(root)
        if (run.data.params["loss.name"], run.data.params["optimizer.lr"]) == ("nll", "0.5")
    ]
    assert last["mean"] == pytest.approx(sum(of_cell) / 3)
    assert last["low"] < last["mean"] < last["high"]


HOSTILE = [
    "</script><script>alert(1)//",
    "<!-- <script>",
    "<img src=x onerror=alert(1)>",
    "' + alert(1) + '",
]


def test_names_of_classes_are_text_wherever_they_are_shown(browser: Browser, tmp_path: Path):
    found = answer(subject(grid([{"loss.name": "nll"}], 2, lambda _, seed: 0.9 + seed / 100)))
    counts = np.diag([5] * len(HOSTILE))
    drawn = [
        Figure("confusion", "Confusions", confusion_chart(counts, HOSTILE)),
        Figure("classes", "Class by class", classes_chart(counts, HOSTILE)),
        Figure("weights", "Weights", weights_chart(np.eye(4), HOSTILE, (2, 2, 1))),
    ]
    write_report(tmp_path, found, drawn)
    page = browser.new_page()
    wrong: list[str] = []

    def refuse(dialog: Dialog) -> None:
        wrong.append(dialog.message)
        dialog.dismiss()

    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", refuse)
    page.goto((tmp_path / "report.html").as_uri())
    for figure in drawn:
        page.wait_for_selector(f"#{figure.name} svg")
    page.locator("#confusion .mark-text text", has_text="5").nth(2).hover()
    tip = page.wait_for_selector("#vg-tooltip-element.visible")
    assert tip is not None
    assert "<img src=x onerror=alert(1)>" in tip.inner_text()
    assert wrong == []
    page.close()


def test_of_a_single_cell_there_is_a_report_too(tmp_path: Path):
    assert command.train(tmp_path, "-m", "seed=0", "model=mlp", "data.num_val=0").code == 0
    done = command.run(tmp_path, f"root={tmp_path}", module="pipeline.report")
    assert (done.code, done.stderr) == (0, "")


def test_without_a_finished_run_there_is_none(tmp_path: Path):
    done = command.run(tmp_path, f"root={tmp_path}", module="pipeline.report")
    assert done.code == 1
    assert "nothing was tracked there yet" in done.stderr
    assert list(tmp_path.iterdir()) == []
