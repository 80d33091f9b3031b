"""The rooms of the package: imports go down the list only, and each room stays small."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import command

ROOMS = (
    "__main__",
    "reproduce",
    "theory",
    "tools",
    "sweep",
    "cluster",
    "training",
    "report",
    "comparison",
    "trained",
    "tracking",
    "engine",
    "data",
    "config",
    "files",
    "process",
    "memory",
    "secrets",
    "errors",
)
"""From the top down: who may import whom."""

ONLY_HERE = {
    "mlflow": {"tracking", "tools"},
    "vl_convert": {"report"},
    "matplotlib": {"report", "theory"},
    "hydra": {"__main__", "reproduce", "sweep", "config"},
    "omegaconf": {"__main__", "reproduce", "sweep", "config"},
    "pytorch_lightning": {"training", "engine"},
    "torch": {"theory", "tools", "training", "trained", "engine", "data", "sweep"},
}
"""Libraries that only these rooms import; sweep asks torch whether there is a GPU, and what tools
promotes runs where nothing else of ours is."""

PACKAGE = command.CHECKOUT / "pipeline"
MAX_FILES, MAX_LINES = 16, 400


def modules() -> Iterator[tuple[str, Path]]:
    """Every module with the room that it is in."""
    for path in sorted(PACKAGE.rglob("*.py")):
        if path != PACKAGE / "__init__.py":
            yield path.relative_to(PACKAGE).parts[0].removesuffix(".py"), path


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            assert node.module is not None, f"{path}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_every_module_is_in_a_room():
    assert {room for room, _ in modules()} == set(ROOMS)


def test_imports_go_down_the_list_only():
    upward = [
        f"{path.relative_to(PACKAGE)} imports {name}"
        for room, path in modules()
        for name in imported(path)
        if name.startswith("pipeline.") and ROOMS.index(name.split(".")[1]) < ROOMS.index(room)
    ]
    assert upward == []


@pytest.mark.parametrize("library", ONLY_HERE)
def test_a_library_is_known_to_few_rooms(library: str):
    rooms = {
        room
        for room, path in modules()
        if any(name.split(".")[0] == library for name in imported(path))
    }
    assert rooms <= ONLY_HERE[library]


def test_choices_are_listed_and_checked_without_torch():
    program = (
        "import sys; from pipeline.config.registry import PACKAGES, names\n"
        "from pipeline.config.schema import Config\n"
        "Config(); assert all(names(kind) for kind in PACKAGES)\n"
        "assert not {'torch', 'yaml', 'hydra', 'mlflow'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=command.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_no_room_holds_more_than_one_can_take_in_and_no_module_is_long():
    folders = {path.parent for _, path in modules()} - {PACKAGE}
    full = {
        str(folder.relative_to(PACKAGE)): count
        for folder in folders
        if (count := len(list(folder.glob("*.py")))) > MAX_FILES
    }
    long = {
        str(path.relative_to(PACKAGE)): count
        for _, path in modules()
        if (count := len(path.read_text().splitlines())) > MAX_LINES
    }
    assert (full, long) == ({}, {})
