"""`python -m pipeline`, from process start to its end: seconds, imports, memory, tracking.

    python -m benchmarks.end_to_end [--quick] [--rounds N] [--data FOLDER]

Claims, on 2 cores and warm: at most 9 s, of which imports 4.5 s; peak memory at most 1.5 GB;
tracking at most 10 % of a run's time when its process has made one before, as in a sweep.
"""

from __future__ import annotations

import tempfile
from statistics import median

from benchmarks.timing import Options, machine, make_parser, print_row
from benchmarks.watch import Sampler, watch
from pipeline.config.schema import Config, DataConfig

IMPORT = {"import": ["importlib"]}
TRACK = {"track": ["pipeline.tracking"]}


def main() -> None:
    """Print the table."""
    options = make_parser(__doc__, rounds=5).parse_args(namespace=Options())
    print(machine())
    with tempfile.TemporaryDirectory() as root:
        command = [f"root={root}", *options.data_overrides]
        if not options.quick:  # makes the store, and warms the disk's cache
            watch("pipeline", *command)
        done = [watch("pipeline", *command, parts=IMPORT) for _ in range(options.num_rounds)]
        print_row("python -m pipeline", [it.seconds for it in done], "s")
        print_row("  of which imports", [it.parts["import"] for it in done], "s")
        print_row("peak memory", [it.peak_gb for it in done], "GB")
        shares = [_share_of_tracking(root, options) for _ in range(options.num_rounds + 1)]
        print_row("tracking, share of a run", [100 * share for share in shares[1:]], "%")
    options.keep(
        "end_to_end",
        {
            "seconds": median(it.seconds for it in done),
            "imports": median(it.parts["import"] for it in done),
            "gb": max(it.peak_gb for it in done),
            "tracking": 100 * median(shares[1:]),
        },
    )


def _share_of_tracking(root: str, options: Options) -> float:
    """Return the share of tracking in the time of one run from its data to its record."""
    from pipeline.training.group import Job  # only now: see `Watched.peak_gb`
    from pipeline.training.train import train_runs

    data = DataConfig(root=str(options.data.absolute()))
    if options.quick:
        data = DataConfig(name="digits", num_train=1242, num_val=200)
    sampler = Sampler(TRACK)
    sampler.start()
    (result,) = train_runs([Job(Config(root=root, data=data), [])], parent_run_id=None)
    sampler.stop()
    if isinstance(result, Exception):
        raise result
    return sampler.share("track")


if __name__ == "__main__":
    main()
