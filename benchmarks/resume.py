"""What it costs to be able to resume: the look-up of finished cells, and a sweep left alone.

    python -m benchmarks.resume [--cells N] [--rounds N]

Claims: a sweep of 1,000 cells with nothing left to do returns within 3 s of what one of a single
cell takes, and asks the store as often as that; a sweep that nobody disturbs pays at most
2 % for locks, its grid's file, identities and checkpoints.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time

from benchmarks.timing import machine

COUNTED_COMMAND = """
import atexit, json, sys, time
from collections import Counter
import pipeline.__main__ as command
from mlflow import MlflowClient

calls = Counter()

def counted(name):
    method = getattr(MlflowClient, name)
    def wrapper(*args, **kwargs):
        calls[name] += 1
        return method(*args, **kwargs)
    setattr(MlflowClient, name, wrapper)

for name in ("get_run", "get_metric_history", "search_runs"):
    counted(name)
atexit.register(lambda: print(json.dumps(calls), file=sys.stderr))
command.main()
"""
"""The command, with its questions to the store on the last line of standard error."""

TIMED_COMMAND = """
import atexit, json, sys, time
import pipeline.__main__ as command
import pipeline.fused, pipeline.locks, pipeline.provenance, pipeline.sweep, pipeline.sweep_callback
import pipeline.resumption, pipeline.train

spent, inside = {}, []

def timed(owner, name):
    function = getattr(owner, name)
    def wrapper(*args, **kwargs):
        inside.append(name)
        started = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            inside.pop()
            if not inside:
                spent[name] = spent.get(name, 0) + time.perf_counter() - started
    setattr(owner, name, wrapper)

for owner, names in {
    pipeline.sweep: ("hold", "process_lock", "write_grid", "make_plan", "config_hash"),
    pipeline.sweep_callback: ("config_hash",),
    pipeline.train: ("config_hash", "process_lock"),
    pipeline.resumption: ("config_hash", "write"),
    pipeline.resumption.Resumption: ("__init__", "notes", "discard"),
    pipeline.resumption.KeepCheckpoints: ("on_train_epoch_end",),
}.items():
    for name in names:
        timed(owner, name)
started = time.perf_counter()
atexit.register(
    lambda: print(json.dumps({**spent, "all": time.perf_counter() - started}), file=sys.stderr)
)
command.main()
"""
"""The command, with the seconds that resuming costs on the last line of standard error."""


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    print(machine())
    _look_up(arguments.cells, arguments.rounds)
    _undisturbed(arguments.rounds)


def _look_up(num_cells: int, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as many, tempfile.TemporaryDirectory() as one:
        grids = {many: f"seed=range(0,{num_cells})", one: "seed=0"}
        for root, grid in grids.items():
            _run(COUNTED_COMMAND, root, grid, "trainer.max_epochs=1")
        seconds: dict[str, list[float]] = {root: [] for root in grids}
        questions: dict[str, dict[str, float]] = {}
        for _ in range(rounds):
            for root, grid in grids.items():
                started = time.perf_counter()
                questions[root] = _run(
                    COUNTED_COMMAND, root, grid, "trainer.max_epochs=1", "resume=last"
                )
                seconds[root].append(time.perf_counter() - started)
        all_cells, start_up = (statistics.median(seconds[root]) for root in grids)
    print(f"{num_cells} finished cells    {all_cells:6.2f} s")
    print(f"1 finished cell       {start_up:6.2f} s")
    print(f"over start-up         {all_cells - start_up:6.2f} s (claimed: 3 s)")
    print(f"questions             {questions[many]} for all, {questions[one]} for one")


def _undisturbed(rounds: int) -> None:
    for what, overrides in {
        "28 runs, 5 epochs": ["seed=range(0,28)"],
        "28 runs, 200 epochs, a checkpoint a second": [
            "seed=range(0,28)",
            "trainer.max_epochs=200",
            "trainer.checkpoint_every_s=1",
        ],
    }.items():
        shares: list[float] = []
        seconds: list[float] = []
        for _ in range(rounds):
            with tempfile.TemporaryDirectory() as root:
                spent = _run(TIMED_COMMAND, root, *overrides)
            seconds.append(spent.pop("all"))
            shares.append(sum(spent.values()) / seconds[-1])
        print(f"{what:44}{statistics.median(shares):6.2%} of {statistics.median(seconds):.1f} s")


def _run(command: str, root: str, *overrides: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-c", command, "-m", "data=digits", f"root={root}", *overrides],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stderr.splitlines()[-1])


if __name__ == "__main__":
    main()
