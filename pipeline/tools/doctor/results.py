"""The files that runs have left: whether they still are what was written."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.files import CHECKSUMS, damaged_files
from pipeline.tools.doctor.site import MLRUNS, Finding, Site

__all__ = ["damaged_results"]


def damaged_results(site: Site) -> Iterator[Finding]:
    """Find the runs below the root whose files are damaged or missing, once they are all there."""
    under_way = {run.run_id for run in site.running}
    under_way |= {record.run_id for record in site.records.values() if record and record.run_id}
    for sums in sorted((site.root / MLRUNS).glob(f"*/*/artifacts/{CHECKSUMS}")):
        run_id = sums.parent.parent.name
        if run_id not in under_way and (names := damaged_files(sums.parent)):
            yield Finding(
                f"{sums.parent.relative_to(site.root)}: {', '.join(names)} is not what was written",
                f"can't be mended; delete run {run_id} and resume=last trains its cell anew",
            )
