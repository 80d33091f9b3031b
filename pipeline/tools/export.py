"""`python -m pipeline.export [SWEEP|EXPERIMENT …] FILE.parquet|FILE.csv`: runs as a tidy table.

A row for each run and epoch: what varied, the seed, losses and accuracies. `pipeline.load("last")`
gives the same as a pandas DataFrame.
"""

from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path

import pandas as pd

from pipeline.config.arguments import make_parser, parse
from pipeline.errors import UserError
from pipeline.files import write_whole
from pipeline.report.frame import make_frame
from pipeline.tracking.lookup import LAST, open_tracked

__all__ = ["main"]


def main() -> None:
    """Write the table and say how large it is."""
    parser = make_parser("export", __doc__)
    parser.add_argument("wanted", nargs="*", metavar="SWEEP|EXPERIMENT", help="default: last")
    parser.add_argument("file", type=Path, metavar="FILE.parquet|FILE.csv")
    parser.add_argument("--all-params", action="store_true", help="not just those that varied")
    arguments, place = parse(parser)
    file: Path = arguments.file
    if file.suffix not in (".parquet", ".csv"):
        sys.exit(f"error: {file}: must end in .parquet or .csv.")
    try:
        store = open_tracked(place)
        wanted = arguments.wanted or [place.named or LAST]
        frame = make_frame(store, wanted, all_params=arguments.all_params)
        write_whole(file, _encoded(frame, file.suffix))
    except UserError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        sys.exit(f"error: {file}: can't be written ({error.strerror}).")
    print(f"{file}: {len(frame):,} rows of {frame['run_id'].nunique():,} runs")


def _encoded(frame: pd.DataFrame, suffix: str) -> bytes:
    content = BytesIO()
    if suffix == ".csv":
        frame.to_csv(content, index=False)
    else:
        frame.to_parquet(content, index=False)
    return content.getvalue()


if __name__ == "__main__":
    main()
