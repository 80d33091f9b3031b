"""What the benchmarks share: their options, interleaved timing, medians, the machine's description.

Nothing heavy is imported here: a script that only starts commands needs no torch itself.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

__all__ = ["Options", "machine", "make_parser", "measure", "print_row", "ratio", "report"]


class Options(argparse.Namespace):
    """What every benchmark can be told."""

    quick: bool
    """See that it works, on a small budget: the numbers mean nothing."""
    rounds: int
    data: Path
    """The folder that holds, or will hold, MNIST."""
    results: Path | None
    """The file that keeps the numbers."""

    @property
    def num_rounds(self) -> int:
        """Measurements of each thing."""
        return 1 if self.quick else self.rounds

    @property
    def data_overrides(self) -> list[str]:
        """What tells a command which data to use: digits, which need no file, to be quick."""
        return ["data=digits"] if self.quick else [f"data.root={self.data.absolute()}"]

    def keep(self, script: str, numbers: Mapping[str, float], gpu: str | None = None) -> None:
        """Put a script's numbers, and where they were taken, into the file of results.

        Args:
            script: its name.
            numbers: by name.
            gpu: the GPU that they were taken on; its numbers stand beside the CPU's.
        """
        if self.results is None:
            return
        known: dict[str, Any] = {}
        if self.results.exists():
            known = json.loads(self.results.read_text())
        rounded = {name: float(f"{number:.3g}") for name, number in numbers.items()}
        if gpu is not None:
            known["gpu"] = {**known.get("gpu", {}), "device": gpu, script: rounded}
        else:
            known |= {"machine": machine(), script: rounded}
        self.results.write_text(json.dumps(known, indent=2) + "\n")


def make_parser(description: str | None, rounds: int) -> argparse.ArgumentParser:
    """Return the parser of a benchmark's command line; `Options` is its namespace.

    Args:
        description: the script's docstring.
        rounds: measurements of each thing unless the user says otherwise.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a small budget, to see it work")
    parser.add_argument("--rounds", type=int, default=rounds, metavar="N")
    folder = Path(os.environ.get("PIPELINE_TEST_DATA", "data/mnist"))
    parser.add_argument("--data", type=Path, default=folder, metavar="FOLDER", help="of MNIST")
    parser.add_argument("--results", type=Path, metavar="FILE", help="keep the numbers there")
    return parser


def machine() -> str:
    """Return what the numbers were taken on: processor, cores, versions."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        lines = [line for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = lines[0].partition(":")[2].strip() if lines else model
    limit = os.environ.get("OMP_NUM_THREADS")
    threads = f", OMP_NUM_THREADS={limit}" if limit else ""
    versions = f"Python {platform.python_version()}, torch {version('torch')}"
    return f"{model}, {os.cpu_count()} cores{threads}, {versions}"


def measure(contestants: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Time each contestant once per round, in turn, after one round that doesn't count.

    Taking turns lets a noisy machine slow all of them alike, so that ratios can be trusted.

    Returns:
        Seconds per contestant, one value per round.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for counted in range(rounds + 1):
        for name, run in contestants.items():
            started = time.perf_counter()
            run()
            if counted:
                seconds[name].append(time.perf_counter() - started)
    return seconds


def report(seconds: Mapping[str, Sequence[float]], references: Mapping[str, str]) -> None:
    """Print a table: median and spread, and the median of the ratios, round by round.

    Args:
        seconds: per contestant, one value per round.
        references: title of a column of ratios, and the contestant that they are to.
    """
    titles = "".join(f"{title:>10}" for title in references)
    print(f"{'':38}{'median':>10}{'min':>10}{'max':>10}{titles}")
    for name, values in seconds.items():
        ratios = "".join(
            f"{_median_ratio(values, seconds[reference]):10.2f}"
            for reference in references.values()
        )
        median = statistics.median(values)
        print(f"{name:38}{median:9.3f}s{min(values):9.3f}s{max(values):9.3f}s{ratios}")


def ratio(seconds: Mapping[str, Sequence[float]], name: str, reference: str) -> float:
    """Return the median of the ratios of one contestant to another, round by round."""
    return _median_ratio(seconds[name], seconds[reference])


def _median_ratio(values: Sequence[float], bases: Sequence[float]) -> float:
    return statistics.median(value / base for value, base in zip(values, bases, strict=True))


def print_row(name: str, values: Sequence[float], unit: str) -> None:
    """Print what a thing took: its median and, of several measurements, the spread."""
    spread = f"  ({min(values):.2f} to {max(values):.2f})" if len(values) > 1 else ""
    print(f"{name:38}{statistics.median(values):8.2f} {unit}{spread}")
