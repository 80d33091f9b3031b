"""The files that runs have left: whether they still are what was written."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.checksums import FILE_NAME, damaged_files
from pipeline.doctor.site import MLRUNS, Finding, Site

__all__ = ["damaged_results"]


def damaged_results(site: Site) -> Iterator[Finding]:
    """Find the runs below the root whose files are damaged or missing."""
    for sums in sorted((site.root / MLRUNS).glob(f"*/*/artifacts/{FILE_NAME}")):
        if names := damaged_files(sums.parent):
            run_id = sums.parent.parent.name
            yield Finding(
                f"{sums.parent.relative_to(site.root)}: {', '.join(names)} is not what was written",
                f"can't be mended; delete run {run_id} and resume=last trains its cell anew",
            )
