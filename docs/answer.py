"""README's example of an answer: its command is run, and what that prints is put there.

    python -m docs.answer [OVERRIDE …]

Overrides go to the sweep, such as data.root=FOLDER.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence

from benchmarks.readme import README, in_place

__all__ = ["SECTION", "answer", "in_readme"]

SECTION = "answer"

COMMAND = ("-m", "loss=mse,ce,nll", "seed=range(0,5)")


def main() -> None:
    """Write the section."""
    README.write_text(in_readme(README.read_text(), answer(sys.argv[1:])))


def answer(overrides: Sequence[str]) -> str:
    """Train the sweep and return its answer, less the notes below it."""
    with tempfile.TemporaryDirectory() as root:
        command = [sys.executable, "-m", "pipeline", *COMMAND, f"root={root}", *overrides]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        compare = [sys.executable, "-m", "pipeline.compare", "last", f"root={root}"]
        printed = subprocess.run(compare, check=True, capture_output=True, text=True).stdout
    told = re.split(r"\n\n(?:±|Note:)", printed)[0]
    return told.partition("\n")[2]  # less the title, which has an id


def in_readme(text: str, told: str) -> str:
    """Return README's text with another answer."""
    lines = "\n".join(line.rstrip() for line in told.splitlines()).strip("\n")
    return in_place(text, SECTION, f"```\n{lines}\n```\n")


if __name__ == "__main__":
    main()
