"""Checkpoints and results: whether they still are what was written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from pipeline.files import CHECKSUMS, damaged_files, sha256_of
from pipeline.tools.doctor.site import Finding, Site, is_old
from pipeline.tracking import paths

__all__ = ["corrupt_checkpoints", "damaged_results"]

CHECKPOINT = re.compile(r"epoch-\d+-(?P<digest>[0-9a-f]{64})\.safetensors")


def corrupt_checkpoints(site: Site) -> Iterator[Finding]:
    """Find the checkpoints whose checksum isn't that of their name, and unfinished ones."""
    for path in sorted(paths.checkpoints(site.root).glob("*/*")):
        if _is_corrupt(path):
            yield site.put_aside(path, "is corrupt (its checksum is another)")
        elif path.suffix == ".tmp" and (site.is_quiet or is_old(path)):
            yield site.put_aside(path, "was never finished")


def _is_corrupt(path: Path) -> bool:
    named = CHECKPOINT.fullmatch(path.name)
    if named is None:
        return False
    try:
        return sha256_of(path) != named["digest"]
    except FileNotFoundError:  # its process has just replaced it by a newer one
        return False


def damaged_results(site: Site) -> Iterator[Finding]:
    """Find the runs below the root whose files are damaged or missing, once they are all there."""
    under_way = {run.run_id for run in site.running}
    under_way |= {record.run_id for record in site.records.values() if record and record.run_id}
    for sums in sorted(paths.mlruns(site.root).glob(f"*/*/artifacts/{CHECKSUMS}")):
        run_id = sums.parent.parent.name
        if run_id not in under_way and (names := damaged_files(sums.parent)):
            yield Finding(
                f"{sums.parent.relative_to(site.root)}: {', '.join(names)} is not what was written",
                f"can't be mended; delete run {run_id} and resume=last trains its cell anew",
            )
