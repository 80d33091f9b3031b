"""The notebook in docs/, executed from its first cell to its last."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests import command

NOTEBOOK = command.CHECKOUT / "docs" / "notebook.ipynb"


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """Its cells of code with what they put out."""
    folder: Path = tmp_path_factory.mktemp("notebook")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=command.TIMEOUT_S, resources=resources).execute()
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_it_is_kept_without_what_it_puts_out():
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    assert all(cell.get("outputs", []) == [] for cell in cells)


def shown(cell: Any, kind: str) -> str:
    """What a cell puts out of a kind such as image/png; "" if there is none."""
    return "".join(output.get("data", {}).get(kind, "") for output in cell.outputs)


def test_every_cell_puts_out_what_its_text_says(executed: list[Any]):
    _, sweep, table, curves, weights, accuracy, network = executed
    assert "is better than" in sweep.outputs[0].text
    assert "val/accuracy" in shown(table, "text/html")
    assert shown(curves, "image/png")
    assert "max_pixel=16" in shown(weights, "text/plain")
    assert 0.9 < float(shown(accuracy, "text/plain").strip("tensor()")) <= 1
    assert shown(network, "text/plain").startswith("tensor([")
