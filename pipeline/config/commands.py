"""The commands beside training: `pipeline NAME …` is `python -m pipeline.NAME …`."""

from __future__ import annotations

import re
import sys
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from pipeline.config.options import did_you_mean

__all__ = ["COMMANDS", "overview", "run_command"]

COMMANDS = {
    "compare": "which choice is better, and by how much: a sweep, an experiment, or several",
    "watch": "a sweep while a cluster, or another process, trains it",
    "report": "the same with figures, as one page and as Markdown",
    "ui": "MLflow's pages over the runs",
    "export": "runs as a tidy table: Parquet or CSV",
    "promote": "the chosen run as a registered MLflow model",
    "predict": "the class of new examples: image files, rows of a table, numbers",
    "figures": "the figures that runs of large groups lack",
    "doctor": "dead runs, records that a server missed, moved folders, damaged files",
    "convention": "settings of other libraries as overrides of ours, and back",
    "reproduce": "the problem set's numbers beside ours, with verdicts",
    "theory": "the problem set's mathematics, checked by computation",
}


def overview() -> str:
    """Return a line for each command."""
    width = max(map(len, COMMANDS))
    return "\n".join(f"  pipeline {name:{width}}  {what}" for name, what in COMMANDS.items())


def run_command() -> None:
    """Run another command than training, if the first word is one, and end with it.

    A word that looks like a command and is none ends with an error.
    """
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    if not re.fullmatch("[a-z]+", word):
        return
    if word not in COMMANDS:
        known = ", ".join(COMMANDS)
        sys.exit(
            f"error: {word}: there is no such command, only {known}; and choices are typed as "
            f"key=value.{did_you_mean(word, COMMANDS)}"
        )
    del sys.argv[1]
    _main_module(word).main()
    sys.exit(0)


def _main_module(name: str) -> Any:
    """Return the module of a command: one of its own, or the main one of its package."""
    spec = find_spec(f"pipeline.{name}")
    assert spec is not None
    is_package = spec.submodule_search_locations is not None
    return import_module(f"pipeline.{name}.__main__" if is_package else f"pipeline.{name}")
