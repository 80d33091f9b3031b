"""The grids of a root's sweeps, a file each: what was asked for, and which sweep was the last.

Files are numbered as the sweeps start, so that a clock that is set back changes nothing.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.errors import UserError
from pipeline.files import is_plain_name, write_whole

__all__ = ["Cells", "has_grid", "read_grid", "write_grid"]

FOLDER = Path("mlruns") / "sweeps"
"""Below the project's root."""

Cells = dict[str, list[str]]
"""The overrides of every cell by its config_hash."""


def write_grid(root: Path, cells: Mapping[str, Sequence[str]]) -> str:
    """Write the grid of a sweep that starts, whole or not at all.

    Returns:
        The file's name, which sorts behind those of earlier sweeps.

    Raises:
        UserError: it can't be written.
    """
    folder = root / FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
        numbers = [
            int(path.stem.partition("-")[0]) for path in folder.glob(f"{6 * '[0-9]'}-*.json")
        ]
        name = f"{max(numbers, default=0) + 1:06d}-{uuid.uuid4().hex[:8]}"
        write_whole(_path(root, name), json.dumps(cells).encode())
    except OSError as error:
        raise UserError(
            f"{folder}: the sweep's grid can't be written there ({error.strerror}). Make room or "
            "give yourself the right to write there, or choose another folder with root=…"
        ) from error
    return name


def has_grid(root: Path, name: str) -> bool:
    """Return whether a sweep's grid lies below this root."""
    return is_plain_name(name) and _path(root, name).is_file()


def read_grid(root: Path, name: str) -> Cells:
    """Return the grid of a sweep, for which `has_grid` holds.

    Raises:
        UserError: the file is damaged.
    """
    path = _path(root, name)
    try:
        cells: Cells = json.loads(path.read_text())
        return {key: [str(item) for item in overrides] for key, overrides in cells.items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path}: the sweep's grid can't be read ({error}). Remove the file to go on without "
            "comparing grids."
        ) from error


def _path(root: Path, name: str) -> Path:
    return root / FOLDER / f"{name}.json"
