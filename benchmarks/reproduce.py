"""The whole reproduction, from nothing to its report, and where the time goes.

    python -m benchmarks.reproduce [--data FOLDER]

Claims, on 2 cores and warm: four studies of five seeds within 150 s; sgd_network with 24 seeds and
30 epochs within 120 s. A second call has nothing to train.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.timing import machine

CALLS = {
    "four studies, five seeds": ["losses", "penalties", "dropout", "claims"],
    "sgd_network, 24 seeds": ["sgd_network"],
    "theory": ["theory"],
    "all of it again": [],
}


def main() -> None:
    """Print the seconds of each call, all in one root that starts empty."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("data/mnist"))
    arguments = parser.parse_args()
    print(machine())
    command = [sys.executable, "-m", "pipeline.reproduce"]
    with tempfile.TemporaryDirectory() as root:
        places = [f"root={root}", f"data.root={arguments.data.absolute()}"]
        for name, studies in CALLS.items():
            started = time.perf_counter()
            subprocess.run([*command, *studies, *places], capture_output=True, check=True)
            print(f"{name:28}{time.perf_counter() - started:7.1f} s")


if __name__ == "__main__":
    main()
