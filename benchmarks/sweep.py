"""Whole sweeps, from process start to all runs in MLflow, and where the time goes.

    python -m benchmarks.sweep [--quick] [--rounds N] [--data FOLDER]

Claims, on 2 cores and warm: 28 runs of 5 epochs within 8 s; 1,000 runs of one epoch within 40 s,
at least 1.2 times faster than by one process (hydra.launcher.num_workers=1), taking turns; 10,000
runs of one epoch of digits within 90 s and 1.5 GB, with 5 files for each at most; when they are
finished, `resume=last` within 8 s. To be quick, smaller sweeps of digits take their place.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from benchmarks.timing import Options, machine, make_parser, print_row
from benchmarks.watch import Parts, Watched, watch

PARTS = {
    "import": ["importlib"],
    "check": ["pipeline.config", "pipeline.sweep", "hydra_plugins"],
    "train": ["pipeline.data", "pipeline.engine", "pipeline.training"],
    "track": ["pipeline.tracking"],
}

STRENGTHS = "0,0.0001,0.0005,0.001,0.005,0.01,0.1"
ONE_EPOCH = "trainer.max_epochs=1"
ONE_WORKER = "hydra.launcher.num_workers=1"


def main() -> None:
    """Print a row and its parts per sweep."""
    options = make_parser(__doc__, rounds=3).parse_args(namespace=Options())
    print(machine())
    options.keep("sweep", _of_mnist(options) | _of_digits(options))


def _of_mnist(options: Options) -> dict[str, float]:
    """Train some runs for long, and many for one epoch, all in one root."""
    num_seeds = 1 if options.quick else 50
    few = (f"regularizer.strength={STRENGTHS}", "seed=0,1")
    many = (
        f"regularizer.strength={STRENGTHS},0.00001,0.0002,0.002",
        f"seed=range(0,{num_seeds})",
        ONE_EPOCH,
    )
    with tempfile.TemporaryDirectory() as root:
        command = ["-m", "regularizer=l1,l2", f"root={root}", *options.data_overrides]
        if not options.quick:  # makes the store, and warms the disk's cache
            watch("pipeline", *command, ONE_EPOCH)
        of_few = _train(options.num_rounds, "28 runs, 5 epochs", *command, *few)
        by_all: list[Watched] = []
        by_one: list[Watched] = []
        for _ in range(options.num_rounds):  # taking turns: the machine may be busy meanwhile
            by_all.append(watch("pipeline", *command, *many, parts=PARTS))
            by_one.append(watch("pipeline", *command, *many, ONE_WORKER, parts=PARTS))
        _print(f"{20 * num_seeds} runs, 1 epoch", by_all)
        _print("  the same by one process", by_one)
        faster = [one.seconds / all_.seconds for one, all_ in zip(by_one, by_all, strict=True)]
        print_row("  times faster by all cores", faster, "")
    return {
        "few": median(it.seconds for it in of_few),
        "many": median(it.seconds for it in by_all),
        "many_train": median(it.parts["train"] for it in by_all),
        "many_track": median(it.parts["track"] for it in by_all),
        "many_faster": median(faster),
    }


def _of_digits(options: Options) -> dict[str, float]:
    """Train very many runs for one epoch, then look that all of them are finished."""
    count = 100 if options.quick else 10_000
    with tempfile.TemporaryDirectory() as root:
        command = ["-m", "data=digits", f"root={root}", f"seed=range(0,{count})", ONE_EPOCH]
        (first,) = _train(1, f"{count} runs of digits, 1 epoch", *command)
        print_row("  peak memory", [first.peak_gb], "GB")
        num_files = sum(path.is_file() for path in Path(root, "mlruns").rglob("*")) / count
        print_row("  files per run", [num_files], "")
        parts = {key: PARTS[key] for key in ("import", "check")}
        again = _train(1, "  the same, all finished", *command, "resume=last", parts=parts)
    return {
        "most": first.seconds,
        "most_gb": first.peak_gb,
        "files": num_files,
        "most_resumed": again[0].seconds,
    }


def _train(rounds: int, name: str, *arguments: str, parts: Parts = PARTS) -> Sequence[Watched]:
    """Run a sweep some times and print what it took."""
    done = [watch("pipeline", *arguments, parts=parts) for _ in range(rounds)]
    _print(name, done)
    return done


def _print(name: str, done: Sequence[Watched]) -> None:
    print_row(name, [it.seconds for it in done], "s")
    for part in done[0].parts:
        print(f"    {part:34}{median(it.parts[part] for it in done):8.2f} s")


if __name__ == "__main__":
    main()
