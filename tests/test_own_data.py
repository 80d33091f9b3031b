"""docs/own_data.md, followed from its first command to its last one in an empty folder."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import urllib.request
from collections.abc import Generator
from pathlib import Path

import pandas as pd
import pytest

from tests import command
from tests.command import CHECKOUT, Done
from tests.mlflow_server import free_port, status_of

PAGE = CHECKOUT / "docs" / "own_data.md"
WRITE, TRAIN, REPORT, PREDICT, PROMOTE, SERVE = re.findall(
    r"```\n(.*?)```", PAGE.read_text(), re.DOTALL
)
BIN = CHECKOUT / ".venv" / "bin"
PATH = f"{BIN}:{os.environ['PATH']}"


def follow(typed: str, folder: Path) -> Done:
    """Run a command of the page as it is written; only where runs are kept is added."""
    words = shlex.split(typed)
    assert words[:2] == ["python", "-m"]
    return command.run(folder, *words[3:], f"root={folder}", module=words[2])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("user")
    subprocess.run(["bash", "-ec", WRITE], cwd=folder, env={**os.environ, "PATH": PATH}, check=True)
    return folder


@pytest.fixture(scope="module")
def trained(folder: Path) -> Done:
    return follow(TRAIN, folder)


def test_the_grid_ends_with_its_answer(trained: Done):
    assert (trained.code, trained.stderr) == (0, "")
    assert "Validation chooses" in trained.stdout
    accuracy = re.search(r"Its test accuracy is ([\d.]+)", trained.stdout)
    assert accuracy is not None
    assert float(accuracy[1]) > 90


def test_the_report_shows_classes_and_columns(folder: Path, trained: Done):
    assert trained.code == 0
    done = follow(REPORT, folder)
    assert (done.code, done.stderr) == (0, "")
    (page,) = folder.glob("reports/*/report.html")
    assert "proline" in page.read_text()
    assert (page.parent / "importance.png").is_file()


def test_new_rows_are_predicted(folder: Path, trained: Done):
    assert trained.code == 0
    done = follow(PREDICT, folder)
    assert (done.code, done.stderr) == (0, "")
    predicted = pd.read_csv(folder / "predictions.csv")
    given = pd.read_csv(folder / "new.csv")
    pd.testing.assert_frame_equal(predicted[given.columns], given)
    outputs = predicted.iloc[:, len(given.columns) + 1 :]
    assert outputs.shape == (5, 3)
    assert outputs.sum(axis=1).to_numpy() == pytest.approx(1, abs=1e-5)


@pytest.fixture(scope="module")
def promoted(folder: Path, trained: Done) -> Done:
    assert trained.code == 0
    return follow(PROMOTE, folder)


@pytest.fixture(scope="module")
def port(folder: Path, promoted: Done) -> Generator[int]:
    assert (promoted.code, promoted.stderr) == (0, "")
    port = free_port()
    words = shlex.split(SERVE.replace("5001", str(port)))
    with command.started(
        folder,
        *words[1:],
        module=words[0],
        limit_s=300,
        quiet=True,
        MLFLOW_TRACKING_URI=f"sqlite:///{folder / 'mlflow.db'}",
        PATH=PATH,
    ):
        ping = f"http://127.0.0.1:{port}/ping"
        command.wait_until(lambda: status_of(ping) == 200, "the model's server", 120)
        yield port


def test_the_served_model_answers_the_request_that_promoting_printed(promoted: Done, port: int):
    (typed,) = re.findall(r"curl .*", promoted.stdout)
    words = shlex.split(typed)
    request = urllib.request.Request(
        words[1].replace("5001", str(port)),
        words[words.index("--data") + 1].encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        (row,) = json.loads(answer.read())["predictions"]
    assert sum(row.values()) == pytest.approx(1, abs=1e-5)
    assert set(row) == {"0", "1", "2"}
