"""What it costs to be able to resume: the look-up of finished cells, and a sweep left alone.

    python -m benchmarks.resume [--quick] [--rounds N]

On digits. Claims: a sweep of 1,000 cells with nothing left to do returns within 3 s of what one of
a single cell takes, and asks the store as often as that; a sweep that nobody disturbs pays at most
2 % for locks, its grid's file, identities and checkpoints.
"""

from __future__ import annotations

import statistics
import tempfile

from benchmarks.timing import Options, machine, make_parser, print_row
from benchmarks.watch import Watched, watch

RESUMABILITY = {
    "import": ["importlib"],
    "resumability": [
        "pipeline.sweep.grid",
        "pipeline.sweep.plan",
        "pipeline.tracking.locks",
        "pipeline.tracking.provenance",
        "pipeline.training.checkpoint",
        "pipeline.training.resumption",
    ],
}

CHECKPOINTS = "trainer.checkpoint_every_s=1"

SWEEPS = {
    "28 runs, 5 epochs": [],
    "28 runs, 200 epochs, checkpoints": ["trainer.max_epochs=200", CHECKPOINTS],
}

QUICK_SWEEPS = {"28 runs, 50 epochs, checkpoints": ["trainer.max_epochs=50", CHECKPOINTS]}


def main() -> None:
    """Print both tables."""
    options = make_parser(__doc__, rounds=3).parse_args(namespace=Options())
    print(machine())
    options.keep("resume", {"look_up": _look_up(options), "share": _undisturbed(options)})


def _look_up(options: Options) -> float:
    """Compare a sweep of many finished cells with one of a single cell, taking turns.

    Returns:
        How many seconds longer it takes.
    """
    num_cells = 50 if options.quick else 1000
    with tempfile.TemporaryDirectory() as many, tempfile.TemporaryDirectory() as one:
        grids = {many: f"seed=range(0,{num_cells})", one: "seed=0"}
        for root, grid in grids.items():
            _sweep(root, grid, "trainer.max_epochs=1")
        done: dict[str, list[Watched]] = {root: [] for root in grids}
        for _ in range(options.num_rounds):
            for root, grid in grids.items():
                done[root].append(_sweep(root, grid, "trainer.max_epochs=1", "resume=last"))
    of_many, of_one = ([it.seconds for it in found] for found in done.values())
    print_row(f"{num_cells:,} finished cells", of_many, "s")
    print_row("1 finished cell", of_one, "s")
    difference = statistics.median(of_many) - statistics.median(of_one)
    print_row("over start-up", [difference], "s")
    for name, root in (("all", many), ("one", one)):
        print(f"  questions for {name}: {dict(done[root][-1].questions)}")
    return difference


def _undisturbed(options: Options) -> float:
    """Measure the share of what makes a sweep resumable in one that comes to its end.

    Returns:
        The largest one, in percent.
    """
    largest = 0.0
    for name, overrides in (QUICK_SWEEPS if options.quick else SWEEPS).items():
        with tempfile.TemporaryDirectory() as root:
            done = [_sweep(root, "seed=range(0,28)", *overrides) for _ in range(options.num_rounds)]
        shares = [100 * it.parts["resumability"] / it.seconds for it in done]
        print_row(name, [it.seconds for it in done], "s")
        print_row("  share of being resumable", shares, "%")
        largest = max(largest, statistics.median(shares))
    return largest


def _sweep(root: str, *overrides: str) -> Watched:
    """Run a sweep of digits."""
    arguments = ["-m", "data=digits", f"root={root}", *overrides]
    return watch("pipeline", *arguments, parts=RESUMABILITY, count_questions=True)


if __name__ == "__main__":
    main()
