"""Training in bfloat16 against float32: how much quicker, and how much less exact.

    python -m benchmarks.bf16 [--quick] [--rounds N] [--data FOLDER] [--threads N]

Training only, one epoch, on a CPU or a GPU that has bfloat16; then the accuracies after it. Claim:
quicker from 10 million multiplications in a group's largest product of a step and batches of 32
on, which is where the command lets it be used on a CPU; slower below.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from functools import partial

import torch

from benchmarks.single_run import load_data
from benchmarks.timing import Options, machine, make_parser, measure
from pipeline.config.schema import Config, DataConfig, ModelConfig, OptimizerConfig, TrainerConfig
from pipeline.data.tensors import Data
from pipeline.engine.evaluation import Evaluation
from pipeline.engine.grouping import multiplications
from pipeline.engine.module import GroupModule
from pipeline.training.fit import make_trainer

SHAPES: list[tuple[int, list[int], int]] = [
    (1, [], 100),
    (28, [], 100),
    (28, [], 10),
    (1, [100], 100),
    (28, [30], 100),
    (28, [100], 100),
    (1, [1000], 100),
    (1, [1000, 1000], 100),
]
"""Members, hidden units, examples per batch."""


class Bf16Options(Options):
    """What this benchmark can be told besides."""

    threads: int


def make_group(shape: tuple[int, list[int], int], precision: str, data: Data) -> list[Config]:
    """Return the members of a group: they differ in their learning rates."""
    num_members, hidden, batch_size = shape
    of_data = DataConfig(
        data.name, batch_size=batch_size, num_train=len(data.train), num_val=len(data.val)
    )
    return [
        Config(
            optimizer=OptimizerConfig(lr=0.1 * (1 + member / num_members)),
            model=ModelConfig(list(hidden), "relu", init="he"),
            data=of_data,
            trainer=TrainerConfig("auto", max_epochs=1, precision=precision),
        )
        for member in range(num_members)
    ]


def train(configs: Sequence[Config], data: Data) -> None:
    """Train a group, less evaluation and tracking."""
    make_trainer(configs[0].trainer).fit(GroupModule(configs, data))


def accuracy(configs: Sequence[Config], data: Data) -> float:
    """Return the members' mean test accuracy after training."""
    evaluation = Evaluation(len(configs))
    make_trainer(configs[0].trainer, [evaluation]).fit(GroupModule(configs, data))
    return statistics.mean(epochs[1]["test/accuracy"] for epochs in evaluation.epochs)


def main() -> None:
    """Print the table."""
    parser = make_parser(__doc__, rounds=5)
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="that compute")
    options = parser.parse_args(namespace=Bf16Options())
    torch.set_num_threads(options.threads)
    data = load_data(options)
    print(machine(), f"{options.threads} threads computing")
    header = ("members", "hidden", "batch", "million", "float32", "bf16", "ratio", "accuracies")
    print("{:>7}{:>14}{:>7}{:>9}{:>10}{:>10}{:>7}  {}".format(*header))
    for shape in SHAPES[::4] if options.quick else SHAPES:
        groups = {p: make_group(shape, p, data) for p in ("float32", "bf16")}
        contestants: dict[str, Callable[[], object]] = {
            precision: partial(train, group, data) for precision, group in groups.items()
        }
        seconds = measure(contestants, options.num_rounds)
        ratio = statistics.median(
            mine / other for mine, other in zip(seconds["bf16"], seconds["float32"], strict=True)
        )
        million = shape[0] * multiplications(groups["bf16"][0]) / 1e6
        took = [statistics.median(seconds[precision]) for precision in groups]
        reached = "  ".join(f"{accuracy(group, data):.4f}" for group in groups.values())
        print(
            f"{shape[0]:7}{shape[1]!s:>14}{shape[2]:7}{million:9.1f}{took[0]:9.3f}s{took[1]:9.3f}s"
            f"{ratio:7.2f}  {reached}",
            flush=True,
        )


if __name__ == "__main__":
    main()
