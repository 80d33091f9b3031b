"""Whole sweeps, from process start to all runs in MLflow, and where the time goes.

    python -m benchmarks.sweep [--quick] [--rounds N] [--data FOLDER]

Claims, on 2 cores and warm: 28 runs of 5 epochs within 12 s, 1,000 runs of one epoch within 180 s.
"""

from __future__ import annotations

import statistics
import tempfile

from benchmarks.timing import Options, machine, make_parser, print_row
from benchmarks.watch import watch

PARTS = {
    "import": ["importlib"],
    "check": ["pipeline.config", "pipeline.sweep", "hydra_plugins"],
    "train": ["pipeline.data", "pipeline.engine", "pipeline.training"],
    "files": ["pipeline.training.artifacts", "pipeline.report"],
    "track": ["pipeline.tracking"],
}

STRENGTHS = "0,0.0001,0.0005,0.001,0.005,0.01,0.1"

GRIDS = {
    "28 runs, 5 epochs": [f"regularizer.strength={STRENGTHS}", "seed=0,1"],
    "1,000 runs, 1 epoch": [
        f"regularizer.strength={STRENGTHS},0.00001,0.0002,0.002",
        "seed=range(0,50)",
        "trainer.max_epochs=1",
    ],
}


def main() -> None:
    """Print a row and its parts per sweep, all in one root; to be quick, of the first one alone."""
    options = make_parser(__doc__, rounds=3).parse_args(namespace=Options())
    names = list(GRIDS)[:1] if options.quick else list(GRIDS)
    print(machine())
    with tempfile.TemporaryDirectory() as root:
        command = ["-m", "regularizer=l1,l2", f"root={root}", *options.data_overrides]
        if not options.quick:  # makes the store, and warms the disk's cache
            watch("pipeline", *command, "trainer.max_epochs=1")
        for name in names:
            done = [
                watch("pipeline", *command, *GRIDS[name], parts=PARTS)
                for _ in range(options.num_rounds)
            ]
            print_row(name, [it.seconds for it in done], "s")
            for part in done[0].parts:
                seconds = statistics.median(it.parts[part] for it in done)
                print(f"  {part:36}{seconds:8.2f} s")


if __name__ == "__main__":
    main()
