"""What very many runs cost: 10,000 and 100,000 of digits, one epoch each, end to end.

    python -m benchmarks.scale [--quick]

Claims, on 2 cores: 100,000 runs within 20 minutes and 4 GB of all processes together; then
`compare` over 10,000 runs beside them within 20 s. What one more run costs is the difference of the
two sweeps by the difference of their runs. docs/scaling.md tells the numbers.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.sweep import PARTS as PARTS_OF_A_SWEEP
from benchmarks.timing import Options, machine, make_parser, print_row
from benchmarks.watch import Watched, watch

PARTS = PARTS_OF_A_SWEEP | {"answer": ["pipeline.comparison", "pipeline.report"]}

PER_RUN = ("check", "train", "track", "answer")
"""The parts that take longer the more runs there are."""

FEW, MANY = (100, 10, 10), (100, 100, 10)
"""Learning rates, strengths of the regularizer, seeds."""

QUICK_FEW, QUICK_MANY = (4, 2, 2), (10, 4, 5)


@dataclass(frozen=True)
class Size:
    """What a root holds."""

    database_gb: float
    disk_gb: float
    """With the database."""
    num_files: int
    """And folders."""


def main() -> None:
    """Train both sweeps in one root, and ask for their answers."""
    options = make_parser(__doc__, rounds=1).parse_args(namespace=Options())
    print(machine())
    grids = (QUICK_FEW, QUICK_MANY) if options.quick else (FEW, MANY)
    with tempfile.TemporaryDirectory() as folder:
        options.keep("scale", _numbers(Path(folder), *grids))


def _numbers(root: Path, few: Sequence[int], many: Sequence[int]) -> dict[str, float]:
    """Measure everything; return the numbers that docs/scaling.md tells."""
    of_few, size_of_few = _train(root, "few", few), _size(root)
    of_many, size_of_both = _train(root, "many", many), _size(root)
    answers = {name: watch("pipeline.compare", name, f"root={root}") for name in ("few", "many")}
    again = watch("pipeline", *_command(root, "many", many), "resume=last")
    done = {f"compare {name}": answer for name, answer in answers.items()} | {"resume=last": again}
    for what, it in done.items():
        print_row(what, [it.seconds], "s")
        print_row("  memory", [it.family_gb], "GB")
    more = _count(many) - _count(few)
    page_s = _page_of_mlflow(root)
    print_row("MLflow's 100 best of the many", [page_s], "s")
    per_run = {
        f"{part}_ms": 1000 * (of_many.parts[part] - of_few.parts[part]) / more for part in PER_RUN
    }
    return {
        "few_runs": _count(few),
        "few": of_few.seconds,
        "few_gb": of_few.family_gb,
        "many_runs": _count(many),
        "many": of_many.seconds,
        "many_gb": of_many.family_gb,
        **per_run,
        "cpu_ms": 1000 * (of_many.cpu_s - of_few.cpu_s) / more,
        "run_kb": 2**20 * (of_many.family_gb - of_few.family_gb) / more,
        "database_kb": 2**20 * (size_of_both.database_gb - size_of_few.database_gb) / _count(many),
        "disk_kb": 2**20 * (size_of_both.disk_gb - size_of_few.disk_gb) / _count(many),
        "files": (size_of_both.num_files - size_of_few.num_files) / _count(many),
        "compare_few": answers["few"].seconds,
        "compare_many": answers["many"].seconds,
        "compare_many_gb": answers["many"].family_gb,
        "resumed": again.seconds,
        "page": page_s,
    }


def _count(grid: Sequence[int]) -> int:
    rates, strengths, seeds = grid
    return rates * strengths * seeds


def _command(root: Path, name: str, grid: Sequence[int]) -> list[str]:
    rates, strengths, seeds = grid
    return [
        "-m",
        "data=digits",
        "trainer.max_epochs=1",
        f"root={root}",
        f"tracking.experiment_name={name}",
        f"optimizer.lr={','.join(f'{number / 100:g}' for number in range(1, rates + 1))}",
        "regularizer=l2",
        f"regularizer.strength={','.join(f'{number}e-6' for number in range(1, strengths + 1))}",
        f"seed=range(0,{seeds})",
    ]


def _train(root: Path, name: str, grid: Sequence[int]) -> Watched:
    """Run a sweep and print what it took."""
    done = watch("pipeline", *_command(root, name, grid), parts=PARTS)
    print_row(f"{_count(grid):,} runs of digits, 1 epoch", [done.seconds], "s")
    for part, seconds in done.parts.items():
        print(f"    {part:34}{seconds:8.2f} s")
    print_row("  on all cores", [done.cpu_s], "s")
    print_row("  memory of all processes", [done.family_gb], "GB")
    return done


def _page_of_mlflow(root: Path) -> float:
    """Return how long MLflow takes to find what a page of its table shows, the best runs first."""
    from mlflow import MlflowClient  # only now: what this process has, `watch` would count

    client = MlflowClient(f"sqlite:///{root}/mlflow.db")
    experiment = client.get_experiment_by_name("many")
    assert experiment is not None
    started = time.perf_counter()
    found = client.search_runs(
        [experiment.experiment_id], order_by=["metrics.`val/accuracy` DESC"], max_results=100
    )
    assert len(found) == 100
    return time.perf_counter() - started


def _size(root: Path) -> Size:
    """Return what a root holds, and print it."""
    paths = _below(root)
    size = Size(
        database_gb=(root / "mlflow.db").stat().st_size / 2**30,
        disk_gb=sum(path.stat(follow_symlinks=False).st_blocks for path in paths) * 512 / 2**30,
        num_files=len(paths),
    )
    print_row("  mlflow.db", [size.database_gb], "GB")
    print_row("  all files", [size.disk_gb], "GB")
    return size


def _below(folder: str | Path) -> list[os.DirEntry[str]]:
    """Return all files and folders below a folder."""
    with os.scandir(folder) as entries:
        found = list(entries)
    inner = [entry for entry in found if entry.is_dir(follow_symlinks=False)]
    return found + [it for entry in inner for it in _below(entry.path)]


if __name__ == "__main__":
    main()
