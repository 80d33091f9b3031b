"""MLflow's pages as a person sees them who follows the address that `pipeline.ui` prints."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Browser, Page, expect

from tests import command
from tests.mlflow_server import free_port, status_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

expect.set_options(timeout=20_000)
GRID = ("-m", "loss=mse,ce", "seed=0,1", "trainer.max_epochs=3")
NAMES = {f"loss={loss} seed={seed}" for loss in ("mse", "ce") for seed in (0, 1)}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("root")
    done = command.train(folder, *GRID)
    assert (done.code, done.stderr) == (0, "")
    return folder


@pytest.fixture(scope="module")
def link(root: Path) -> Iterator[str]:
    """What `pipeline.ui` prints; its pages are there."""
    port = free_port()
    words = (f"root={root}", f"--port={port}", "--no-browser")
    with command.started(root, *words, module="pipeline.ui") as process:
        printed = command.read_until(process, "^http").strip()
        command.wait_until(lambda: status_of(f"http://127.0.0.1:{port}/health") == 200, "pages")
        yield printed
        assert process.poll() is None, "the server ended by itself"


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of somebody who has never been here; wide, since the table draws what is in sight."""
    with browser.new_context(viewport={"width": 2200, "height": 900}) as context:
        page = context.new_page()
        page.set_default_timeout(20_000)
        yield page


def column(page: Page, name: str) -> list[str]:
    """The texts of a column of MLflow's run table, from the first row to the last."""
    cells = page.locator(f'.ag-row [role="gridcell"][col-id="{name}"]')
    rows = cells.evaluate_all(
        "cells => cells.map(it => [+it.parentElement.getAttribute('row-index'), it.innerText])"
    )
    return [text.splitlines()[-1] for _, text in sorted(rows)]  # above it a colour's name


def shown_runs(page: Page) -> list[str]:
    return column(page, "attributes.`Run Name`")


def check_columns(page: Page, root: Path) -> None:
    """What varied and the main metrics are there for every run, as the store has them."""
    runs = {str(run.info.run_name): run for run in command.children(root)}
    names = shown_runs(page)
    for key in ("loss.name", "seed"):
        shown = dict(zip(names, column(page, f"params.`{key}`"), strict=True))
        assert {name: shown[name] for name in runs} == {
            name: run.data.params[key] for name, run in runs.items()
        }
    for key in ("val/accuracy", "test/accuracy", "train/loss"):
        shown = dict(zip(names, column(page, f"metrics.`{key}`"), strict=True))
        for name, run in runs.items():
            assert float(shown[name]) == pytest.approx(run.data.metrics[key], rel=1e-9)


def test_the_address_leads_to_the_sweep_and_its_runs_under_it(page: Page, link: str, root: Path):
    page.goto(link)
    sweep = command.parent(root)
    expect(page.get_by_role("link", name=str(sweep.info.run_name))).to_be_visible()
    assert shown_runs(page) == [sweep.info.run_name]
    assert column(page, "params.`loss.name`") == ["mse, ce"]
    assert column(page, "params.`seed`") == ["0, 1"]
    page.locator(".ag-row button").click()
    expect(page.get_by_role("link", name="loss=ce seed=1", exact=True)).to_be_visible()
    first, *nested = shown_runs(page)
    assert (first, set(nested)) == (sweep.info.run_name, NAMES)
    check_columns(page, root)


@pytest.fixture(scope="module")
def sweep_link(root: Path, link: str) -> str:
    """What `pipeline.ui last` says of the server that is running."""
    server = f"tracking.uri={link.partition('/#')[0]}"
    done = command.run(root, "last", server, "--no-browser", module="pipeline.ui")
    assert (done.code, done.stderr) == (0, "")
    return done.stdout.strip()


def test_a_sweeps_own_address_shows_its_runs_the_best_on_validation_first(
    page: Page, sweep_link: str, root: Path
):
    page.goto(sweep_link)
    expect(page.get_by_role("link", name="loss=ce seed=1", exact=True)).to_be_visible()
    names = shown_runs(page)
    assert set(names) == NAMES
    accuracies = [float(text) for text in column(page, "metrics.`val/accuracy`")]
    assert accuracies == sorted(accuracies, reverse=True)
    check_columns(page, root)


def test_charts_by_epoch_are_there_validation_first(page: Page, sweep_link: str):
    page.goto(f"{sweep_link}&compareRunsMode=CHART")
    expect(page.locator(".js-plotly-plot").first).to_be_visible()
    sections = re.findall(r"^(\w+)\s\(\d+\)$", page.locator("body").inner_text(), re.MULTILINE)
    assert sections == ["val", "train", "test", "best", "time"]


def test_a_runs_page_has_its_params_data_set_charts_and_figures(
    page: Page, sweep_link: str, root: Path
):
    page.goto(sweep_link)
    page.get_by_role("link", name="loss=ce seed=1", exact=True).click()
    (run,) = [run for run in command.children(root) if run.info.run_name == "loss=ce seed=1"]
    expect(page.get_by_text(run.info.run_id).first).to_be_visible()
    expect(page.get_by_text("digits (").first).to_be_visible()
    expect(page.get_by_role("link", name="val/accuracy", exact=True)).to_be_visible()
    expect(page.get_by_text("loss.name", exact=True)).to_be_visible()
    page.get_by_role("tab", name="Model metrics").click()
    expect(page.locator(".js-plotly-plot").first).to_be_visible()
    page.get_by_role("tab", name="Artifacts").click()
    page.get_by_text("confusion.png", exact=True).click()
    figure = page.locator("img[src^='blob:'], img[src*='confusion']").first
    expect(figure).to_be_visible()
    assert figure.evaluate("it => it.naturalWidth") > 300
