"""A run's files, fetched from the store and checked against their checksums."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import UserError
from pipeline.files import CHECKSUMS, damaged_files

if TYPE_CHECKING:
    from pipeline.tracking.store import Store

__all__ = ["fetch_checked"]


def fetch_checked(store: Store, run_id: str, name: str, folder: Path) -> Path:
    """Copy an artifact of a run into a folder and return where it is.

    Args:
        store: that the run is in.
        run_id: of a run that has the artifact.
        name: of the artifact.
        folder: an empty one.

    Raises:
        UserError: its checksum is another, or missing.
    """
    path = store.fetch_artifact(run_id, name, folder)
    has_checksums = CHECKSUMS in store.artifact_names(run_id)
    if has_checksums:
        store.fetch_artifact(run_id, CHECKSUMS, folder)
    if not has_checksums or name in damaged_files(folder):
        raise UserError(
            f"{run_id}: its {name} is damaged (its checksum is another, or missing). Put back the "
            "file that the run wrote, or train it again."
        )
    return path
