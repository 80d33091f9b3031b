"""An answer over very many cells stays as long as one can read, and says where the rest is."""

from __future__ import annotations

from collections.abc import Mapping
from io import StringIO

from rich.console import Console

from pipeline.comparison.answer import answer
from pipeline.report.answer import as_markdown, print_answer
from tests.comparison.hand_made import grid, subject

CELLS = [{"optimizer.lr": str(number)} for number in range(3_000)]


def accuracy(values: Mapping[str, str], _seed: int) -> float:
    return int(values["optimizer.lr"]) / 1e4


def test_of_3000_cells_the_best_and_the_baseline_are_shown():
    found = answer(subject(grid(CELLS, 2, accuracy)))
    console = Console(file=StringIO(), width=100)
    print_answer(console, found)
    assert isinstance(console.file, StringIO)
    printed = console.file.getvalue()
    assert len(printed.splitlines()) < 70
    assert "40 of 3,000 rows; all: pipeline compare --csv" in printed
    first = [
        line.split()[0] for line in printed.splitlines() if line.startswith(" ") and "." in line
    ]
    assert first[:3] == ["0", "2999", "2998"]
    assert len(as_markdown(found)) < 10_000
