"""What the default learning rates are worth: their validation accuracy beside the best of a grid's.

    python -m benchmarks.defaults [--quick] [--rounds N] [--data FOLDER] [DATA ...]

DATA is an option of conf/data, with what else it needs: digits, or "table data.path=FILE". Without
any, the data sets that come with the project, or digits to be quick. N is the number of seeds.
Every optimizer trains each model for the data's own number of epochs. A row is the default rate,
its accuracy, how many points that is below the best of the grid, and the grid; "lost" is a little
too large, for the best of so many is so by chance, too.

Claim: the default loses at most 3 points on digits, by its 200 validation examples, and at most 2
elsewhere.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import median

from benchmarks.timing import Options, make_parser
from pipeline import load
from pipeline.config.registry import names
from pipeline.errors import UserError

OPTIMIZERS = names("optimizer")
MODELS = ("softmax", "mlp")
RATES = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
QUICK_RATES = (0.01, 0.1)


class DefaultsOptions(Options):
    """What this benchmark can be told."""

    data_sets: list[str]

    @property
    def rates(self) -> tuple[float, ...]:
        """The learning rates that the default is compared with."""
        return QUICK_RATES if self.quick else RATES


@dataclass(frozen=True)
class Worth:
    """What the default learning rate is worth to a model; accuracies in percent."""

    optimizer: str
    model: str
    default: float
    accuracy: float
    by_rate: Mapping[float, float]
    """Accuracies of the grid's learning rates."""

    @property
    def lost(self) -> float:
        """Points of accuracy that the best of the grid would have brought."""
        return max(self.by_rate.values()) - self.accuracy

    def __str__(self) -> str:
        """Return its row of the table."""
        grid = "".join(f"{accuracy:7.1f}" for accuracy in self.by_rate.values())
        default = f"{self.default:8g}{self.accuracy:8.1f}{self.lost:8.1f}"
        return f"  {self.optimizer:10}{self.model:9}{default}{grid}"


def main() -> None:
    """Print a table for each data set."""
    parser = make_parser(__doc__, rounds=3)
    parser.add_argument("data_sets", nargs="*", metavar="DATA", help="an option of conf/data")
    options = parser.parse_args(namespace=DefaultsOptions())
    rates = "".join(f"{rate:7g}" for rate in options.rates)
    lost: list[float] = []
    for data in options.data_sets or _shipped(options):
        print(f"{shlex.split(data)[0]:21}{'default':>8}{'in %':>8}{'lost':>8}{rates}", flush=True)
        for worth in _measure(data, options):
            print(worth, flush=True)
            lost.append(worth.lost)
    print(f"lost by the default: {median(lost):.2f} points in the median, {max(lost):.2f} at most")
    options.keep("defaults", {"median": median(lost), "largest": max(lost)})


def _shipped(options: Options) -> list[str]:
    if options.quick:
        return ["digits"]
    mnist = options.data.absolute()
    fashion_mnist = mnist.with_name("fashion_mnist")
    return ["digits", f"mnist data.root={mnist}", f"fashion_mnist data.root={fashion_mnist}"]


def _measure(data: str, options: DefaultsOptions) -> Iterator[Worth]:
    """Train every model by every optimizer, with the default learning rate and with the grid's."""
    grid = f"optimizer.lr={','.join(map(str, options.rates))}"
    seeds = f"seed=range(0,{options.num_rounds})"
    for model in MODELS:
        chosen = [*shlex.split(f"data={data}"), f"model={model}", seeds]
        by_default, by_rate = _accuracies(*chosen), _accuracies(*chosen, grid)
        for name in OPTIMIZERS:
            ((default, accuracy),) = by_default[name].items()
            yield Worth(name, model, default, accuracy, by_rate[name])


def _accuracies(*overrides: str) -> dict[str, dict[float, float]]:
    """Train a grid by every optimizer; a run that doesn't come to its end counts as 0 %.

    Returns:
        The seeds' mean of the last validation accuracy, in percent, by optimizer and learning rate.
    """
    grid = [f"optimizer={','.join(OPTIMIZERS)}", *overrides]
    with tempfile.TemporaryDirectory() as root:
        command = [sys.executable, "-m", "pipeline", "-m", *grid, f"root={root}"]
        done = subprocess.run(command, capture_output=True, text=True)
        try:
            epochs = load(root=root, all_params=True)
        except UserError:
            sys.exit(f"{' '.join(grid)} ended with {done.returncode}:\n{done.stderr}")
    runs = epochs.groupby("run_id").last()
    accuracy = runs["val/accuracy"].where(runs["status"] == "FINISHED", 0.0) * 100
    means = accuracy.groupby([runs["optimizer.name"], runs["optimizer.lr"]]).mean()
    return {name: means[name].to_dict() for name in OPTIMIZERS}


if __name__ == "__main__":
    main()
