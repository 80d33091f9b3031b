"""All benchmarks, one after the other.

    python -m benchmarks [--quick] [--data FOLDER] [--results FILE]

With --quick each does the same on a small budget, to see that it works. Ends with 1 if one fails,
or if README or docs/scaling.md lacks a number.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.readme import table
from benchmarks.timing import Options, make_parser
from docs.scaling import PAGE, up_to_date

SCRIPTS = (
    "single_run",
    "fused",
    "bf16",
    "company",
    "sweep",
    "scale",
    "postgresql",
    "end_to_end",
    "resume",
    "compare",
    "defaults",
    "own_data",
    "grid_search",
    "reproduce",
)


def main() -> None:
    """Run them with what was typed, then print what ran and how long it took."""
    options = make_parser(__doc__, rounds=0).parse_args(namespace=Options())
    with tempfile.TemporaryDirectory() as folder:
        results = options.results or Path(folder, "results.json")
        failed = _run_all(["--results", str(results)])
        table(results)
        up_to_date(PAGE.read_text(), results)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def _run_all(arguments: list[str]) -> list[str]:
    """Run them, print how long each took, and return the names of those that failed."""
    seconds: dict[str, float] = {}
    failed: list[str] = []
    for name in SCRIPTS:
        print(f"== {name}", flush=True)
        started = time.perf_counter()
        command = [sys.executable, "-m", f"benchmarks.{name}", *sys.argv[1:], *arguments]
        if subprocess.run(command).returncode != 0:
            failed.append(name)
        seconds[name] = time.perf_counter() - started
    print("== all")
    for name, value in seconds.items():
        print(f"{name:14}{value:8.1f} s{'  FAILED' if name in failed else ''}")
    return failed


if __name__ == "__main__":
    main()
