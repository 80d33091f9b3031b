"""Whole fused sweeps, from process start to all runs in MLflow, and where the time goes.

    python -m benchmarks.sweep [--rounds N] [--data FOLDER]

Claims, on 2 cores and warm: 28 runs of 5 epochs within 12 s, 1,000 runs of one epoch within 180 s.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.timing import machine

LAMBDAS = "0,0.0001,0.0005,0.001,0.005,0.01,0.1"

SWEEPS = {
    "28 runs, 5 epochs": [f"regularizer.strength={LAMBDAS}", "seed=0,1"],
    "1,000 runs, 1 epoch": [
        f"regularizer.strength={LAMBDAS},0.00001,0.0002,0.002",
        "seed=range(0,50)",
        "trainer.max_epochs=1",
    ],
}

TIMED_COMMAND = """
import atexit, json, sys, time
import pipeline.__main__ as command
import pipeline.sweep.hydra_callback as sweep
from pipeline.process import quick_imports

started = time.perf_counter()
with quick_imports():
    import pipeline.fused, pipeline.tracking.run
    from pytorch_lightning import Trainer
spent = {"import": time.perf_counter() - started, "check": 0.0, "train": 0.0, "track": 0.0}

def timed(owner, name, part):
    function = getattr(owner, name)
    def wrapper(*args, **kwargs):
        started = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            spent[part] += time.perf_counter() - started
    setattr(owner, name, wrapper)

timed(sweep, "_checked_grid", "check")
timed(Trainer, "fit", "train")
timed(pipeline.fused, "start_tracking", "track")
timed(pipeline.tracking.run.TrackedRun, "close", "track")
timed(pipeline.tracking.run.TrackedRun, "children", "track")
atexit.register(lambda: print(json.dumps(spent), file=sys.stderr))
command.main()
"""
"""The command, with the seconds of its parts on the last line of standard error."""


def main() -> None:
    """Print a table per sweep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--data", type=Path, default=Path("data/mnist"))
    arguments = parser.parse_args()
    print(machine())
    for name, overrides in SWEEPS.items():
        totals: list[float] = []
        parts: list[dict[str, float]] = []
        with tempfile.TemporaryDirectory() as root:
            command = [sys.executable, "-c", TIMED_COMMAND, "-m", "regularizer=l1,l2"]
            command += [f"root={root}", f"data.root={arguments.data.absolute()}"]
            subprocess.run([*command, "trainer.max_epochs=1"], capture_output=True, check=True)
            for _ in range(arguments.rounds):
                started = time.perf_counter()
                done = subprocess.run(
                    [*command, *overrides], capture_output=True, text=True, check=True
                )
                totals.append(time.perf_counter() - started)
                parts.append(json.loads(done.stderr.splitlines()[-1]))
        split = ", ".join(
            f"{part} {statistics.median(values[part] for values in parts):.1f} s"
            for part in parts[0]
        )
        print(f"{name:22}{statistics.median(totals):7.1f} s   ({split})")


if __name__ == "__main__":
    main()
