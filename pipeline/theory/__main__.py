"""`python -m pipeline.theory`: compute every claim of Problems 1 to 3 and print what came out.

Ends with 1 if a check of ours fails; an erratum of the text is no failure.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from pipeline.config.options import project_root
from pipeline.config.schema.data import DataConfig
from pipeline.data.tensors import load
from pipeline.errors import UserError
from pipeline.theory.batch_size import NUM_EXAMPLES, SECONDS, Comparison, compare_batch_sizes
from pipeline.theory.check import check_all
from pipeline.theory.claim import Claim, Outcome
from pipeline.theory.figures import write_figures
from pipeline.theory.table import batch_size_table, claim_table

__all__ = ["main"]

log = logging.getLogger("pipeline")

MNIST = ("mnist", NUM_EXAMPLES, SECONDS)
"""Data for Problem 1.2, how many examples of it, and seconds of updates in a training."""
QUICK = ("digits", 500, 0.01)


def main() -> None:
    """Check everything, show it and exit accordingly."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.theory", description=__doc__)
    parser.add_argument("--figures", type=Path, metavar="DIR", help="write the figures there")
    parser.add_argument(
        "--data",
        type=Path,
        metavar="FOLDER",
        default=project_root() / "data" / "mnist",
        help="where MNIST lies",
    )
    parser.add_argument("--quick", action="store_true", help="digits instead of MNIST, less time")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    name, num_train, seconds = QUICK if arguments.quick else MNIST
    folder: Path = arguments.data.expanduser()
    try:
        log.info("training with batches of several sizes on %s", name)
        data = load(DataConfig(name, str(folder), num_train=num_train, num_val=0))
        comparison = compare_batch_sizes(data, seconds=seconds)
        claims = check_all(comparison)
        figures = write_figures(arguments.figures, comparison) if arguments.figures else []
    except (UserError, OSError) as error:
        sys.exit(f"error: {error}")
    _show(claims, comparison)
    for path in figures:
        print(f"wrote {path}")
    sys.exit(any(claim.outcome is Outcome.FAILS for claim in claims))


def _show(claims: Sequence[Claim], comparison: Comparison) -> None:
    width = None if sys.stdout.isatty() else 160
    console = Console(width=width, markup=False, highlight=False)
    console.print(claim_table(claims))
    console.print(batch_size_table(comparison))
    counts = Counter(claim.outcome for claim in claims)
    console.print(", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome))


if __name__ == "__main__":
    main()
