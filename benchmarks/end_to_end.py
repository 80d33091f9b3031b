"""`python -m pipeline`, from process start to its end: seconds, imports, tracking, memory.

    python -m benchmarks.end_to_end [--rounds N] [--data FOLDER]

Claims, on 2 cores and warm: at most 9 s, of which imports 4.5 s; tracking at most 10 % of a run's
time; peak memory at most 1.5 GB.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.timing import machine

IMPORTS = """
import time
started = time.perf_counter()
import pipeline.__main__
from pipeline.process import quick_imports
with quick_imports():
    import pipeline.tracking, pipeline.train
print(time.perf_counter() - started, flush=True)
import os
os._exit(0)
"""
"""As the command imports."""

TRACKING = """
import sys, time
from pathlib import Path
from pipeline.config.schema import Config, DataConfig
from pipeline.tracking.run import TrackedRun
from pipeline.training.train import train

spent = 0.0

def timed(function):
    def wrapper(*args, **kwargs):
        global spent
        started = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            spent += time.perf_counter() - started
    return wrapper

for name in ("begin", "log", "close"):
    setattr(TrackedRun, name, timed(getattr(TrackedRun, name)))
config = Config(root=sys.argv[1], data=DataConfig(root=sys.argv[2]))
for _ in range(4):
    spent, started = 0.0, time.perf_counter()
    train(config)
    total = time.perf_counter() - started
print(spent / total)
"""
"""The share of tracking in the last of four runs in one process, as in a sweep."""


def _timed(command: Sequence[str]) -> tuple[float, float]:
    """Return the seconds and the peak memory in GB of a command."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    if status != 0:
        sys.exit(f"{' '.join(command)} failed")
    return seconds, usage.ru_maxrss / 2**20


def _last_number(command: Sequence[str]) -> float:
    """Return the number on the last line that a command prints."""
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return float(output.splitlines()[-1])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--data", type=Path, default=Path("data/mnist"))
    arguments = parser.parse_args()
    data = str(arguments.data.absolute())
    run_seconds: list[float] = []
    import_seconds: list[float] = []
    memory_gb: list[float] = []
    tracking: list[float] = []
    python = sys.executable
    with tempfile.TemporaryDirectory() as root:
        for counted in range(arguments.rounds + 1):
            command = [python, "-m", "pipeline", f"root={root}", f"data.root={data}"]
            seconds, gigabytes = _timed(command)
            imports = _last_number([python, "-c", IMPORTS])
            if counted:
                run_seconds.append(seconds)
                memory_gb.append(gigabytes)
                import_seconds.append(imports)
        for _ in range(arguments.rounds):
            tracking.append(_last_number([python, "-W", "ignore", "-c", TRACKING, root, data]))
    print(machine())
    rows = {
        "python -m pipeline": (run_seconds, "s", 1),
        "its imports alone": (import_seconds, "s", 1),
        "tracking, share of a run": (tracking, "%", 100),
        "peak memory": (memory_gb, "GB", 1),
    }
    for name, (values, unit, factor) in rows.items():
        low, middle, high = (factor * f(values) for f in (min, statistics.median, max))
        print(f"{name:28}{middle:7.2f} {unit}  ({low:.2f} to {high:.2f})")


if __name__ == "__main__":
    main()
