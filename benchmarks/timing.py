"""What the benchmarks share: interleaved timing, medians, ratios, the machine's description."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

__all__ = ["machine", "measure", "report"]


def machine() -> str:
    """Return what the figures were taken on: processor, cores, versions."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        lines = [line for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = lines[0].partition(":")[2].strip() if lines else model
    versions = f"Python {platform.python_version()}, torch {torch.__version__}"
    return f"{model}, {torch.get_num_threads()} threads, {versions}"


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


def report(seconds: dict[str, list[float]], reference: str) -> None:
    """Print median, spread and the median of the ratios to the reference, round by round."""
    print(f"{'':34}{'median':>10}{'min':>10}{'max':>10}{'ratio':>8}")
    for name, values in seconds.items():
        ratios = [value / base for value, base in zip(values, seconds[reference], strict=True)]
        print(
            f"{name:34}{statistics.median(values):9.3f}s{min(values):9.3f}s{max(values):9.3f}s"
            f"{statistics.median(ratios):8.2f}"
        )
