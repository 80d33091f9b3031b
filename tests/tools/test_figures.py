"""Runs of a large group get their figures on demand."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import command

NUM_RUNS = 9
"""One more than a group whose figures are drawn at once."""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("figures")
    done = command.train(root, "-m", f"seed=range(0,{NUM_RUNS})", "trainer.max_epochs=2")
    assert done.code == 0, done.stderr
    return root


def figures(root: Path) -> list[bool]:
    files = [command.artifacts(run) for run in command.children(root)]
    return [
        all((folder / name).is_file() for name in ("curves.png", "confusion.png"))
        for folder in files
    ]


def test_figures_are_drawn_when_they_are_asked_for(root: Path):
    assert figures(root) == [False] * NUM_RUNS
    sweep = command.parent(root).info.run_id
    done = command.run(root, sweep, f"root={root}", module="pipeline.figures")
    assert done.code == 0, done.stderr
    assert f"{NUM_RUNS} of {NUM_RUNS} runs got their figures" in done.stdout
    assert figures(root) == [True] * NUM_RUNS
    again = command.run(root, sweep, f"root={root}", module="pipeline.figures")
    assert f"0 of {NUM_RUNS} runs got their figures" in again.stdout


def test_an_unknown_id_is_an_error_that_names_it(root: Path):
    done = command.run(root, "nonsense", f"root={root}", module="pipeline.figures")
    assert done.code == 1
    assert done.errors[0].startswith("error: nonsense")
