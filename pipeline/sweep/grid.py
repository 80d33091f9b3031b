"""The grid of a sweep, and the files that keep the grids of a root: which sweep was the last.

Files are numbered as the sweeps start, so that a clock that is set back changes nothing.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from pipeline.config.schema import Config
from pipeline.errors import UserError
from pipeline.files import is_plain_name, write_whole
from pipeline.secrets import without_password
from pipeline.sweep.search.search import Search
from pipeline.tracking import paths
from pipeline.tracking.provenance import config_hash

__all__ = ["Cells", "Grid", "has_grid", "read_grid", "shared", "write_grid"]

Cells = dict[str, list[str]]
"""The overrides of every cell by its config_hash."""


@dataclass(frozen=True)
class Grid:
    """What a sweep is about."""

    configs: list[Config]
    """Every cell's; for a sweeper that asks as it goes, the one that its jobs start from."""
    overrides: list[list[str]]
    """Every cell's; empty for such a sweeper."""
    typed: list[str]
    """The overrides that the user typed."""
    options: list[str] = field(default_factory=list[str])
    """The command's options that matter to whoever types it again: where configs are."""
    search: Search | None = None
    """What a search asks for as it goes; None of a grid, and of a sweeper that isn't ours."""

    @cached_property
    def fixed(self) -> frozenset[str]:
        """The overrides that all cells have; of a sweeper that asks as it goes, what was typed."""
        return shared(self.overrides) if self.overrides else frozenset(self.typed)

    @property
    def num_jobs(self) -> int | None:
        """How many jobs there will be; None if nobody knows."""
        return self.search.settings.n_trials if self.search else len(self.overrides) or None

    @cached_property
    def hashes(self) -> list[str]:
        """Every cell's config_hash."""
        return [config_hash(config) for config in self.configs]

    @property
    def configs_by_hash(self) -> dict[str, Config]:
        """Every cell's config by its config_hash; of cells that are alike, one."""
        return dict(zip(self.hashes, self.configs, strict=True))

    @cached_property
    def cells(self) -> Cells:
        """Every cell's overrides by its config_hash."""
        return {
            key: [without_password(item) for item in overrides if not item.startswith("resume.")]
            for key, overrides in zip(self.hashes, self.overrides, strict=False)
        }


def shared(overrides: Sequence[Sequence[str]]) -> frozenset[str]:
    """Return the overrides that all jobs have, of which there is at least one."""
    first, *others = map(set[str], overrides)
    return frozenset(first.intersection(*others))


def write_grid(root: Path, cells: Mapping[str, Sequence[str]], name: str = "") -> str:
    """Write the grid of a sweep that starts, or goes on in another root, whole or not at all.

    Args:
        root: the project's root.
        cells: every cell's overrides by its config_hash.
        name: that it has in another root.

    Returns:
        The file's name; a new one sorts behind those of earlier sweeps.

    Raises:
        UserError: it can't be written.
    """
    folder = paths.grids(root)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        numbers = [
            int(path.stem.partition("-")[0]) for path in folder.glob(f"{6 * '[0-9]'}-*.json")
        ]
        name = name or f"{max(numbers, default=0) + 1:06d}-{uuid.uuid4().hex[:8]}"
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
    return paths.grids(root) / f"{name}.json"
