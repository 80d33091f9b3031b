"""All benchmarks, one after the other.

    python -m benchmarks [--quick] [--data FOLDER]

With --quick each does the same on a small budget, to see that it works. Ends with 1 if one fails.
"""

from __future__ import annotations

import subprocess
import sys
import time

from benchmarks.timing import make_parser

SCRIPTS = ("single_run", "fused", "bf16", "company", "sweep", "end_to_end", "resume", "reproduce")


def main() -> None:
    """Run them with what was typed, then print what ran and how long it took."""
    make_parser(__doc__, rounds=0).parse_args()
    seconds: dict[str, float] = {}
    failed: list[str] = []
    for name in SCRIPTS:
        print(f"== {name}", flush=True)
        started = time.perf_counter()
        command = [sys.executable, "-m", f"benchmarks.{name}", *sys.argv[1:]]
        if subprocess.run(command).returncode != 0:
            failed.append(name)
        seconds[name] = time.perf_counter() - started
    print("== all")
    for name, value in seconds.items():
        print(f"{name:14}{value:8.1f} s{'  FAILED' if name in failed else ''}")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
