"""The commands beside training: by name, in --help, completed by the shell."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.config.commands import COMMANDS
from tests import command

BIN = Path(sys.executable).parent


def test_every_tool_is_a_command():
    tools = command.CHECKOUT / "pipeline" / "tools"
    found = {path.stem for path in tools.glob("*.py") if "def main" in path.read_text()}
    found |= {path.parent.name for path in tools.glob("*/__main__.py")}
    assert set(COMMANDS) == found | {"report", "reproduce", "theory"}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_by_name_is_its_module(tmp_path: Path, name: str):
    by_name = command.run(tmp_path, name, "--help")
    as_module = command.run(tmp_path, "--help", module=f"pipeline.{name}")
    assert (by_name.code, by_name.stderr) == (0, "")
    assert by_name.stdout == as_module.stdout
    assert f"python -m pipeline.{name}" in by_name.stdout


def test_a_word_that_is_none_is_answered_with_the_nearest(tmp_path: Path):
    done = command.run(tmp_path, "comapre", "last")
    assert (done.code, done.stdout) == (1, "")
    assert done.stderr.startswith("error: comapre: there is no such command, only compare, ")
    assert done.stderr.endswith("Did you mean compare?\n")
    assert list(tmp_path.iterdir()) == []


def test_help_names_every_command_and_says_what_every_key_may_be(tmp_path: Path):
    told = command.run(tmp_path, "--help").stdout
    for name, what in COMMANDS.items():
        assert any(name in line and what in line for line in told.splitlines())
    for key in ("optimizer.lr", "regularizer.strength", "trainer.max_epochs", "seed"):
        assert any(line.startswith(f"  {key}: ") for line in told.splitlines())


def test_bash_completes_options_and_keys(tmp_path: Path):
    script = """
        eval "$(pipeline -sc install=bash)"
        COMP_WORDS=(pipeline loss=n) COMP_CWORD=1 COMP_LINE='pipeline loss=n' COMP_POINT=15
        hydra_bash_completion
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    environment = {**command.environment(), "PATH": f"{BIN}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["loss=nll"], done.stderr
