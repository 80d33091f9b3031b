"""What the default learning rates are worth: their validation accuracy beside the best of a grid's.

    python -m benchmarks.defaults [--quick] [--rounds N] [--data FOLDER] [DATA ...]

DATA is an option of conf/data, with what else it needs: digits, or "table data.path=FILE". Without
any, the data sets that come with the project, or digits to be quick. N is the number of seeds.
Every optimizer trains the models below for the data's own number of epochs.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
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
    """What the default learning rate of an optimizer is worth; accuracies in percent."""

    optimizer: str
    model: str
    default: float
    accuracy: float
    best: float
    best_accuracy: float

    @property
    def lost(self) -> float:
        """Points of accuracy that a search over the grid would have brought."""
        return self.best_accuracy - self.accuracy


def main() -> None:
    """Print a table for each data set."""
    parser = make_parser(__doc__, rounds=3)
    parser.add_argument("data_sets", nargs="*", metavar="DATA", help="an option of conf/data")
    options = parser.parse_args(namespace=DefaultsOptions())
    lost: list[float] = []
    for data in options.data_sets or _shipped(options):
        print(f"{data.split()[0]:14}{'model':9}{'default':>9}{'best':>9}{'default':>10}{'best':>9}")
        for worth in _measure(data, options):
            rates = f"{worth.default:9g}{worth.best:9g}"
            accuracies = f"{worth.accuracy:8.2f} %{worth.best_accuracy:7.2f} %"
            print(f"  {worth.optimizer:12}{worth.model:9}{rates}{accuracies}{-worth.lost:+8.2f}")
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
    for model in MODELS:
        chosen = [*f"data={data}".split(), f"model={model}", f"seed=range(0,{options.num_rounds})"]
        by_default, by_rate = _accuracies(*chosen), _accuracies(*chosen, grid)
        for name in OPTIMIZERS:
            ((rate, accuracy),) = by_default[name].items()
            best = max(by_rate[name], key=by_rate[name].__getitem__)
            yield Worth(name, model, rate, accuracy, best, by_rate[name][best])


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
