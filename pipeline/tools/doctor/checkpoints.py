"""Checkpoints whose content isn't what was written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from pipeline.files import sha256_of
from pipeline.tools.doctor.site import MLRUNS, Finding, Site, is_old, put_aside

__all__ = ["corrupt_checkpoints"]

FOLDER = MLRUNS / "checkpoints"

NAME = re.compile(r"epoch-\d+-(?P<digest>[0-9a-f]{64})\.safetensors")


def corrupt_checkpoints(site: Site) -> Iterator[Finding]:
    """Find the checkpoints whose checksum isn't that of their name, and unfinished ones."""
    for path in sorted((site.root / FOLDER).glob("*/*")):
        if _is_corrupt(path):
            yield put_aside(site.root, path, "is corrupt (its checksum is another)")
        elif path.suffix == ".tmp" and (site.is_quiet or is_old(path)):
            yield put_aside(site.root, path, "was never finished")


def _is_corrupt(path: Path) -> bool:
    named = NAME.fullmatch(path.name)
    if named is None:
        return False
    try:
        return sha256_of(path) != named["digest"]
    except FileNotFoundError:  # its process has just replaced it by a newer one
        return False
