"""How long the answer to 1,000 runs takes, from the local store and from a server.

    python -m benchmarks.compare [--quick] [--rounds N]

On digits. Claim: at most 5 s more than that of two runs, by as few questions to the store.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

from benchmarks.timing import Options, machine, make_parser, print_row
from benchmarks.watch import Watched, watch
from tests.mlflow_server import Server


def main() -> None:
    """Print how long each takes, and the differences."""
    options = make_parser(__doc__, rounds=3).parse_args(namespace=Options())
    print(machine())
    num_seeds = 5 if options.quick else 50
    with tempfile.TemporaryDirectory() as folder:
        local = _over_start_up(Path(folder), options, num_seeds, [])
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder)) as server:
        place = ["tracking=server", f"tracking.uri={server.uri}"]
        remote = _over_start_up(Path(folder), options, num_seeds, place)
    options.keep("compare", {"local": local, "server": remote})


def _over_start_up(folder: Path, options: Options, num_seeds: int, place: list[str]) -> float:
    """Compare many runs, and two; return how many seconds longer it takes."""
    grids = {
        "many": ["optimizer.lr=range(0.1,1.1,0.05)", f"seed=range(0,{num_seeds})"],
        "two": ["optimizer.lr=0.1,0.2"],
    }
    for name, grid in grids.items():
        where = [f"root={folder}", f"tracking.experiment_name={name}", *place]
        watch("pipeline", "-m", "data=digits", "trainer.max_epochs=1", *where, *grid)
    where = [f"root={folder}", *place[1:]]
    found: dict[str, list[Watched]] = {name: [] for name in grids}
    for _ in range(options.num_rounds):
        for name in grids:
            found[name].append(watch("pipeline.compare", name, *where, count_questions=not place))
    seconds = {name: [it.seconds for it in done] for name, done in found.items()}
    label = "server" if place else "local"
    print_row(f"{label}: {20 * num_seeds:,} runs", seconds["many"], "s")
    print_row(f"{label}: 2 runs", seconds["two"], "s")
    difference = statistics.median(seconds["many"]) - statistics.median(seconds["two"])
    print_row(f"{label}: over start-up", [difference], "s")
    for name, done in found.items():
        print(f"  questions to a database for {name}: {dict(done[-1].questions)}")
    return difference


if __name__ == "__main__":
    main()
