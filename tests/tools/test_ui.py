from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from mlflow import MlflowClient

from tests import command
from tests.mlflow_server import free_port, status_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.command import Done

LISTENS = "0A"
LOCALHOST = "0100007F"


class Pages(NamedTuple):
    printed: str
    url: str
    port: int
    pid: int


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose name needs care in addresses and on terminals."""
    return tmp_path_factory.mktemp("my [old] runs")


@pytest.fixture(scope="module")
def tracked(root: Path) -> Done:
    """One run below the root."""
    place = f"root='{root}'"
    return command.run(root, place, "data=digits", "trainer=cpu", "trainer.max_epochs=1")


@pytest.fixture(scope="module")
def pages(root: Path, tracked: Done) -> Iterator[Pages]:
    assert (tracked.code, tracked.stderr) == (0, "")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    words = (f"root={root}", f"--port={port}", "--no-browser")
    with command.started(root.parent, *words, module="pipeline.ui") as process:
        printed = command.read_until(process, "^http")
        command.wait_until(lambda: status_of(url) == 200, "the pages")
        yield Pages(printed, url, port, process.pid)


def test_the_address_that_is_printed_names_a_view_that_is_saved(root: Path, pages: Pages):
    place = f"{pages.url}/#/experiments/1/runs?workflowType=machine_learning&viewStateShareKey="
    assert pages.printed.startswith(place)
    key = pages.printed.removeprefix(place).strip()
    view = json.loads(
        command.client(root).get_experiment("1").tags[f"mlflow.sharedViewState.{key}"]
    )
    assert view["name"] == "what varied"


def test_of_a_server_the_address_is_printed_and_nothing_else_is_served(pages: Pages, root: Path):
    server = f"tracking.uri={pages.url}"
    done = command.run(root, server, "--no-browser", module="pipeline.ui")
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout == pages.printed


def test_a_runs_address_is_its_page(pages: Pages, root: Path):
    (run,) = command.runs(root)
    words = (run.info.run_id[:8], f"tracking.uri={pages.url}", "--no-browser")
    done = command.run(root, *words, module="pipeline.ui")
    page = f"{pages.url}/#/experiments/1/runs/{run.info.run_id}?workflowType=machine_learning\n"
    assert (done.stdout, done.stderr) == (page, "")


@pytest.mark.parametrize("is_served", [True, False])
def test_where_there_is_a_display_the_pages_open(
    pages: Pages, root: Path, tmp_path: Path, is_served: bool
):
    said = tmp_path / "said"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" >"{said}"\n')
    browser.chmod(0o755)
    port = free_port()
    place = (f"tracking.uri={pages.url}",) if is_served else (f"root={root}", f"--port={port}")
    with command.started(
        root, *place, module="pipeline.ui", quiet=True, DISPLAY=":7", BROWSER=f"{browser} %s"
    ):
        command.wait_until(lambda: said.exists() and said.read_text(), "the browser")
    url = pages.url if is_served else f"http://127.0.0.1:{port}"
    assert said.read_text().strip() == pages.printed.strip().replace(pages.url, url)


def test_the_pages_show_the_runs(root: Path, pages: Pages):
    shown = command.runs(MlflowClient(pages.url))
    assert len(shown) == 1
    assert [run.info.run_id for run in shown] == [run.info.run_id for run in command.runs(root)]


def test_the_pages_are_for_this_machine_only(pages: Pages):
    sockets = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    sockets += [line.split() for line in Path("/proc/net/tcp6").read_text().splitlines()[1:]]
    listening = [fields[1].split(":") for fields in sockets if fields[3] == LISTENS]
    assert [address for address, port in listening if int(port, 16) == pages.port] == [LOCALHOST]


def test_the_pages_need_few_processes(pages: Pages):
    sessions = [path.read_text() for path in Path("/proc").glob("[0-9]*/stat") if path.exists()]
    of_session = [stat.rpartition(")")[2].split()[3] for stat in sessions]
    assert 1 <= of_session.count(str(pages.pid)) <= 3


def test_a_run_says_how_to_open_them(root: Path, tracked: Done):
    assert f"mlflow ui in {root}" in tracked.stdout.replace("\n", "")


@pytest.mark.usefixtures("tracked")
def test_bare_mlflow_in_the_root_sees_the_runs(root: Path):
    done = command.run(root, "runs", "list", "--experiment-id=1", module="mlflow")
    assert done.code == 0, done.stderr
    (run,) = command.runs(root)
    assert run.info.run_id in done.stdout


@pytest.mark.usefixtures("tracked")
def test_bare_mlflow_ui_in_the_root_serves_the_runs(root: Path):
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    words = ("ui", f"--port={port}", "--workers=1")
    with command.started(root, *words, module="mlflow", quiet=True):
        command.wait_until(lambda: status_of(f"{url}/health") == 200, "the pages")
        served = [run.info.run_id for run in command.runs(MlflowClient(url))]
    assert served == [run.info.run_id for run in command.runs(root)]


def test_mlflow_brings_back_a_run_that_was_deleted(tmp_path: Path):
    assert command.train(tmp_path, "trainer.max_epochs=1").code == 0
    (run,) = command.runs(tmp_path)
    command.client(tmp_path).delete_run(run.info.run_id)
    assert command.runs(tmp_path) == []
    words = ("runs", "restore", f"--run-id={run.info.run_id}")
    assert command.run(tmp_path, *words, module="mlflow").code == 0
    assert [it.info.run_id for it in command.runs(tmp_path)] == [run.info.run_id]


def test_without_a_store_there_is_nothing_to_show(tmp_path: Path):
    done = command.run(tmp_path, f"root={tmp_path}", module="pipeline.ui")
    assert done.code == 1
    (line,) = done.errors
    assert line.startswith(f"error: root={tmp_path}")
    assert "python -m pipeline" in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("tracked")
def test_what_there_is_not_is_named(root: Path):
    done = command.run(root, f"root={root}", "no such sweep", "--no-browser", module="pipeline.ui")
    assert done.code == 1
    assert done.errors[0].startswith("error: no such sweep: there is no such run, sweep or")


def test_a_port_that_is_taken_is_named(root: Path, pages: Pages):
    words = (f"root={root}", f"--port={pages.port}", "--no-browser")
    done = command.run(root, *words, module="pipeline.ui")
    assert done.code == 1
    (line,) = done.errors
    assert line.startswith(f"error: --port={pages.port}: can't be used")
