"""A grid trained as batched networks, one a core, against the floor and against other ways.

    python -m benchmarks.fused [--quick] [--rounds N] [--data FOLDER] [--only NAME]

Training only, but for one row. The floor is the two matrix products of the first layer alone, by
torch.mm or as training makes them. Claims for 28 runs of 784-10, batch 100, one epoch on 2 cores:
at most 1.8 times the products as training makes them; at most 0.9 times JAX; at least 10 times
faster than the hand-written loop run by run, 2 times than torch.func's vmap(grad). On a GPU, if
there is one: 1,000 runs of 5 epochs within 5 s, at least 200 times faster than the loop on that
GPU, which `--only scaling` measures in a minute. To be quick, digits take the place of MNIST.
"""

from __future__ import annotations

import gc
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from math import nan
from pathlib import Path
from statistics import median

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (torch's own convention)

from benchmarks.single_run import (
    BATCH,
    gpu_name,
    hand_written,
    lightning_dataloader,
    load_data,
    to_the_end,
)
from benchmarks.timing import Options, machine, make_parser, measure, ratio, report
from pipeline.config.schema import (
    Config,
    DropoutConfig,
    ModelConfig,
    OptimizerConfig,
    RegularizerConfig,
    TrainerConfig,
)
from pipeline.data.tensors import Data
from pipeline.engine.evaluation import Evaluation
from pipeline.engine.first_layer import times_transposed
from pipeline.engine.grouping import plan_groups
from pipeline.engine.members import sort_members
from pipeline.engine.module import GroupModule
from pipeline.engine.threads import num_threads
from pipeline.training.fit import make_trainer
from pipeline.training.workers import Ended, Workers, num_cores

STRENGTHS = (0.0, 1e-4, 5e-4, 1e-3, 5e-3, 1e-2, 0.1)
TRAINER = TrainerConfig("auto", max_epochs=1)


class FusedOptions(Options):
    """What this benchmark can be told besides."""

    only: str | None


def grid(
    num_members: int = 28, hidden: Sequence[int] = (), trainer: TrainerConfig = TRAINER
) -> list[Config]:
    """Return so many configs: 7 strengths of L1 and of L2 x two learning rates, seed by seed."""
    model = ModelConfig(hidden=list(hidden), init="scaled_normal", init_std=1.0)
    configs = [
        Config(
            seed=seed,
            regularizer=RegularizerConfig(name, strength),
            optimizer=OptimizerConfig(lr=lr),
            model=model,
            trainer=trainer,
        )
        for seed in range(-(-num_members // 28))
        for name in ("l1", "l2")
        for strength in STRENGTHS
        for lr in (0.5, 0.3)
    ]
    return configs[:num_members]


class Trained:
    """Configs that are trained as a sweep's are: in groups, side by side, less tracking.

    The processes that do so stay, as they do from group to group of a sweep.
    """

    def __init__(self, configs: Sequence[Config], data: Data, *, evaluated: bool = False) -> None:
        """Divide the configs.

        Args:
            configs: of the runs.
            data: that they learn from.
            evaluated: evaluate them too, at the end of every epoch.
        """
        ordered = [configs[position] for position in sort_members(configs)]
        cores = None if data.train.inputs.is_cuda else num_cores()
        plans = plan_groups(ordered, num_cores=cores)
        self._groups = [[ordered[position] for position in plan] for plan in plans]
        self._data = data
        self._evaluated = evaluated
        self._workers = Workers[list[Config], None](min(cores or 1, len(plans)), self._train)

    def __call__(self) -> None:
        """Train them."""
        with num_threads(1):
            self._workers.do(partial(next, enumerate(self._groups), None), _refuse_errors)

    def _train(self, group: list[Config], say: Callable[[None], None]) -> None:
        del say
        callbacks = [Evaluation(len(group))] if self._evaluated else []
        make_trainer(group[0].trainer, callbacks).fit(GroupModule(group, self._data))

    def close(self) -> None:
        """End the processes."""
        self._workers.close()


def _refuse_errors(number: int, event: Ended | None) -> None:
    del number
    if event is not None and event.error is not None:
        raise event.error


def first_layer_products(
    num_members: int, data: Data, product: Callable[[Tensor, Tensor, Tensor], object]
) -> None:
    """Compute the first layer's two products of every step of an epoch, and nothing else.

    Args:
        num_members: of the group.
        data: that it would learn from.
        product: computes a bᵀ of the first two; it may use the third for the result.
    """
    inputs = data.train.inputs
    num_units = num_members * data.num_classes
    weights = torch.randn(num_units, data.num_features, device=inputs.device)
    delta = torch.randn(num_units, BATCH, device=inputs.device)
    batch = inputs[:BATCH].clone()
    z, gradient = torch.empty_like(delta), torch.empty_like(weights)
    for _ in range(len(inputs) // BATCH):
        product(weights, batch, z)
        product(delta, batch.T, gradient)


def by_mm(a: Tensor, b: Tensor, out: Tensor) -> None:
    """Compute a bᵀ as anybody would."""
    torch.mm(a, b.T, out=out)


def as_in_training(a: Tensor, b: Tensor, out: Tensor) -> None:
    """Compute a bᵀ as training does."""
    del out
    times_transposed(a, b)


def vmap_grad(num_members: int, data: Data) -> None:
    """Train with torch.func: vmap over members of grad of the loss, plain SGD and L2."""
    inputs, labels = data.train.inputs, data.train.labels
    weights = torch.randn(num_members, 10, inputs.shape[1], device=inputs.device) * 0.1
    biases = torch.zeros(num_members, 10, device=inputs.device)
    strengths = torch.linspace(0, 0.01, num_members, device=inputs.device)

    def cost(w: Tensor, b: Tensor, strength: Tensor, x: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(F.linear(x, w, b), y) + strength / 2 * w.square().sum()

    gradients: Callable[..., tuple[Tensor, Tensor]] = torch.func.vmap(
        torch.func.grad(cost, argnums=(0, 1)), in_dims=(0, 0, 0, None, None)
    )
    order = torch.randperm(len(labels)).to(inputs.device)
    for rows in torch.split(order, BATCH):
        w, b = gradients(weights, biases, strengths, inputs[rows], labels[rows])
        weights.sub_(w, alpha=0.5)
        biases.sub_(b, alpha=0.5)


def against_other_ways(data: Data, rounds: int) -> dict[str, float]:
    """Compare 28 members of one layer and one seed with what else could train them."""
    print(f"\n28 runs of one layer, batch {BATCH}, one epoch")
    runs, evaluated = Trained(grid(), data), Trained(grid(), data, evaluated=True)
    runs()
    evaluated()  # their processes are forked before JAX starts its threads
    contestants: dict[str, Callable[[], object]] = {
        "floor: two products per step": partial(first_layer_products, 28, data, by_mm),
        "the same as training makes them": partial(first_layer_products, 28, data, as_in_training),
        "28 runs": runs,
        "28 runs, evaluated": evaluated,
        "torch.func vmap(grad), 28": lambda: vmap_grad(28, data),
        "hand-written loop, 1 of 28": lambda: hand_written(data, 1),
        "Lightning over a DataLoader, 1 of 28": lambda: lightning_dataloader(data, 1),
    }
    if find_spec("jax") is None:
        print("JAX is not installed (pip install '.[bench]'): left out")
    else:
        contestants["JAX vmap and jit, 28"] = _jax_contestant(data)
    ended = {name: to_the_end(contestant) for name, contestant in contestants.items()}
    seconds = measure(ended, rounds)
    runs.close()
    evaluated.close()
    for name in ("hand-written loop, 1 of 28", "Lightning over a DataLoader, 1 of 28"):
        seconds[name.replace("1 of 28", "28 x 1")] = [28 * value for value in seconds.pop(name)]
    report(
        seconds,
        {
            "to floor": "floor: two products per step",
            "to prod.": "the same as training makes them",
            "to runs": "28 runs",
        },
    )
    jax = "JAX vmap and jit, 28"
    return {
        "seconds": median(seconds["28 runs"]),
        "evaluation": ratio(seconds, "28 runs, evaluated", "28 runs") - 1,
        "to_floor": ratio(seconds, "28 runs", "floor: two products per step"),
        "to_products": ratio(seconds, "28 runs", "the same as training makes them"),
        "hand_written": ratio(seconds, "hand-written loop, 28 x 1", "28 runs"),
        "lightning": ratio(seconds, "Lightning over a DataLoader, 28 x 1", "28 runs"),
        "vmap": ratio(seconds, "torch.func vmap(grad), 28", "28 runs"),
        "jax": ratio(seconds, jax, "28 runs") if jax in seconds else nan,
    }


def _jax_contestant(data: Data) -> Callable[[], object]:
    from benchmarks.jax_baseline import make_vmap_jit  # imports jax

    inputs, labels = data.train.inputs.cpu().numpy(), data.train.labels.cpu().numpy()
    return make_vmap_jit(inputs, labels, 28, BATCH)


def other_shapes(data: Data, rounds: int) -> None:
    """Compare deeper networks, more seeds, dropped inputs and small batches."""
    print("\nOther shapes, one epoch")
    dropped = [
        Config(dropout=DropoutConfig("input", p_keep=p), trainer=TRAINER)
        for p in (1.0, 0.9, 0.8, 0.6, 0.5, 0.4, 0.2)
    ]
    small = grid()
    for config in small:
        config.data.batch_size = 10
    shapes = {
        "one layer x 28": grid(),
        "30 hidden units x 28": grid(hidden=[30]),
        "100 hidden units x 28": grid(hidden=[100]),
        "one layer x 28 x 5 seeds": grid(140),
        "one layer x 7 p_keep at the input": dropped,
        "one layer x 28, batch 10": small,
    }
    contestants = {name: Trained(shape, data) for name, shape in shapes.items()}
    ended = {name: to_the_end(trained) for name, trained in contestants.items()}
    report(measure(ended, rounds), {"to first": "one layer x 28"})
    for trained in contestants.values():
        trained.close()


def scaling(data: Data, largest: int) -> dict[str, float]:
    """Print seconds and memory per member up to `largest`, and the loop's time for as many."""
    loop = to_the_end(lambda: hand_written(data, 1))
    loop()
    started = time.perf_counter()
    loop()
    loop_seconds = time.perf_counter() - started
    seconds = times_faster = nan
    print("\nMembers of one layer, one epoch; the hand-written loop takes them one by one")
    print(f"{'members':>7}{'seconds':>10}{'ms each':>10}{'MB each':>10}{'loop / group':>14}")
    for count in (count for count in (1, 3, 10, 30, 100, 300, 1000) if count <= largest):
        configs = grid(count)
        before = _reset_peak_mb()
        started = time.perf_counter()
        trained = Trained(configs, data)
        to_the_end(trained)()
        seconds = time.perf_counter() - started
        megabytes = (_peak_mb() - before) / count
        trained.close()
        times_faster = count * loop_seconds / seconds
        print(
            f"{count:7}{seconds:10.2f}{1000 * seconds / count:10.1f}{megabytes:10.2f}"
            f"{times_faster:14.1f}"
        )
    numbers = {"seconds": seconds, "hand_written": times_faster}
    return numbers | _for_longer(data, largest, loop_seconds) if gpu_name() else numbers


def _for_longer(data: Data, count: int, loop_seconds: float) -> dict[str, float]:
    """Print seconds of so many members for five epochs, and how much longer the loop takes."""
    trained = Trained(grid(count, trainer=TrainerConfig("auto", max_epochs=5)), data)
    started = time.perf_counter()
    to_the_end(trained)()
    seconds = time.perf_counter() - started
    trained.close()
    times_faster = 5 * count * loop_seconds / seconds
    print(f"{count} members, five epochs: {seconds:.2f} s, loop / group {times_faster:.1f}")
    return {"five_epochs": seconds, "five_epochs_hand_written": times_faster}


def _reset_peak_mb() -> float:
    """Start to measure peak memory anew, the GPU's or (Linux) the process's; return its use."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated() / 2**20
    Path("/proc/self/clear_refs").write_text("5")
    return _memory_mb("VmRSS")


def _peak_mb() -> float:
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    return _memory_mb("VmHWM")


def _memory_mb(entry: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith(f"{entry}:")]
    return int(line.split()[1]) / 1024


def main() -> None:
    """Print the tables."""
    warnings.filterwarnings("ignore", ".*num_workers.*")
    parser = make_parser(__doc__, rounds=5)
    parser.add_argument("--only", choices=["ways", "shapes", "scaling"])
    options = parser.parse_args(namespace=FusedOptions())
    data, gpu = load_data(options), gpu_name()
    print(machine(), gpu or "")
    print(f"{len(data.train):,} examples of {data.name}, {data.num_features} features")
    if options.only in (None, "ways"):
        options.keep("fused", against_other_ways(data, options.num_rounds), gpu)
    if options.only in (None, "shapes"):
        other_shapes(data, options.num_rounds)
    if options.only in (None, "scaling"):
        options.keep("scaling", scaling(data, largest=100 if options.quick else 1000), gpu)


if __name__ == "__main__":
    main()
