"""The whole reproduction, from nothing to its report.

    python -m benchmarks.reproduce [--quick] [--data FOLDER]

Asked, on 2 free cores and warm: everything within 25 minutes. A second call has nothing to train.
Even to be quick it needs MNIST, which the published numbers are about.
"""

from __future__ import annotations

import tempfile

from benchmarks.timing import Options, machine, make_parser, print_row
from benchmarks.watch import watch

CALLS: dict[str, list[str]] = {
    "everything": [],
    "everything again": [],
}

QUICK_CALLS = {
    "one study, two seeds": ["losses", "--quick"],
    "the same again": ["losses", "--quick"],
}


def main() -> None:
    """Print the seconds of each call, all in one root that starts empty."""
    options = make_parser(__doc__, rounds=1).parse_args(namespace=Options())
    print(machine())
    with tempfile.TemporaryDirectory() as root:
        places = [f"root={root}", f"data.root={options.data.absolute()}"]
        seconds: list[float] = []
        for name, words in (QUICK_CALLS if options.quick else CALLS).items():
            done = watch("pipeline.reproduce", *words, *places)
            print_row(name, [done.seconds], "s")
            seconds.append(done.seconds)
    options.keep("reproduce", {"everything": seconds[0], "again": seconds[1]})


if __name__ == "__main__":
    main()
