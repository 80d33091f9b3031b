"""What of a sweep was handed to a cluster, where every process of its root finds it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from pipeline.errors import UserError
from pipeline.files import is_plain_name, write_whole
from pipeline.tracking import paths

__all__ = ["Job", "folder", "read_jobs", "write_jobs"]

FILE = "jobs.json"


@dataclass(frozen=True)
class Job:
    """A job of an engine."""

    engine: str
    """Its name."""
    id: str
    """As the engine calls it."""
    runs: dict[str, int]
    """The runs that it trains: their numbers in the sweep, from 0, by config_hash."""

    @property
    def name(self) -> str:
        """The value of its runs' tag `job`."""
        return f"{self.engine} {self.id}"


@cache
def _json() -> TypeAdapter[list[Job]]:
    return TypeAdapter(list[Job])


def folder(root: Path, sweep_id: str) -> Path:
    """Return the folder of a sweep's jobs."""
    return paths.jobs(root) / sweep_id


def read_jobs(root: Path, sweep_id: str) -> list[Job]:
    """Return the jobs of a sweep, the first to be handed in first; [] if there are none.

    Raises:
        UserError: the file is damaged.
    """
    path = folder(root, sweep_id) / FILE
    if not is_plain_name(sweep_id) or not path.is_file():
        return []
    try:
        return _json().validate_json(path.read_bytes(), strict=True)
    except ValidationError as error:
        raise UserError(
            f"{path}: the list of the sweep's jobs is damaged ({error.errors()[0]['msg']}). Remove "
            "it once none of them runs any more."
        ) from error


def write_jobs(root: Path, sweep_id: str, jobs: Sequence[Job]) -> None:
    """Write down the jobs of a sweep, whole or not at all."""
    target = folder(root, sweep_id)
    target.mkdir(parents=True, exist_ok=True)
    write_whole(target / FILE, _json().dump_json(list(jobs)))
