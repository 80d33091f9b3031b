"""A table of one's own, a million rows of 100 numbers, as the tensors that networks train on.

    python -m benchmarks.own_data [--quick] [--rounds N]

From the file to scaled training, validation and test examples, against `pandas.read_csv`, which
only reads; each time in a process of its own. Memory is what a process takes beyond its imports,
at most, over the size of all features in float32. Claims: a CSV file takes at most 5 times as long
as pandas reads it; memory at most 4 times the float32 features, which is twice the float64 ones.
"""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmarks.timing import Options, machine, make_parser, print_row, ratio, report
from pipeline.config.schema.data import DataConfig
from pipeline.data.own.arrow import csv, pa, parquet
from pipeline.data.tensors import load
from pipeline.memory import OWN_PAGES

ROWS, COLUMNS = 1_000_000, 100
QUICK_ROWS, QUICK_COLUMNS = 10_000, 20
ROWS_AT_A_TIME = 100_000


class Taken(NamedTuple):
    """What reading a file once has taken."""

    seconds: float
    num_bytes: float


def main() -> None:
    """Print the table."""
    options = make_parser(__doc__, rounds=3).parse_args(namespace=Options())
    print(machine())
    rows, columns = (QUICK_ROWS, QUICK_COLUMNS) if options.quick else (ROWS, COLUMNS)
    with tempfile.TemporaryDirectory() as folder:
        paths = write_tables(Path(folder), rows, columns)
        sizes = ", ".join(f"{path.suffix} {path.stat().st_size / 1e6:,.0f} MB" for path in paths)
        print(f"{rows:,} rows, {columns} columns: {sizes}")
        of_csv, of_parquet = paths
        contestants: dict[str, tuple[Callable[[Path], object], Path]] = {
            "CSV": (load_table, of_csv),
            "Parquet": (load_table, of_parquet),
            "pandas.read_csv": (pd.read_csv, of_csv),
        }
        taken: dict[str, list[Taken]] = {name: [] for name in contestants}
        for _ in range(options.num_rounds):
            for name, (read, path) in contestants.items():
                taken[name].append(in_a_process(read, path))
    seconds = {name: [it.seconds for it in of_name] for name, of_name in taken.items()}
    report(seconds, {"to pandas": "pandas.read_csv"})
    features = 4 * rows * columns
    memory = {name: [it.num_bytes / features for it in of_name] for name, of_name in taken.items()}
    for name, ratios in memory.items():
        print_row(f"memory, {name}", ratios, "x the float32 features")
    options.keep(
        "own_data",
        {
            "csv_to_pandas": ratio(seconds, "CSV", "pandas.read_csv"),
            "parquet_to_pandas": ratio(seconds, "Parquet", "pandas.read_csv"),
            "csv_memory": median(memory["CSV"]),
            "parquet_memory": median(memory["Parquet"]),
            "pandas_memory": median(memory["pandas.read_csv"]),
        },
    )


def write_tables(folder: Path, rows: int, columns: int) -> tuple[Path, Path]:
    """Write the same numbers, and a class that they decide, as CSV and as Parquet."""
    paths = folder / "table.csv", folder / "table.parquet"
    draws = np.random.default_rng(0)
    names = [f"x{number}" for number in range(columns)]
    schema = pa.schema([*((name, pa.float64()) for name in names), ("y", pa.int64())])
    with (
        csv.CSVWriter(paths[0], schema) as as_csv,
        parquet.ParquetWriter(paths[1], schema) as as_parquet,
    ):
        for first in range(0, rows, ROWS_AT_A_TIME):
            features = draws.normal(size=(columns, min(ROWS_AT_A_TIME, rows - first)))
            labels = (features[:3].argmax(axis=0)).astype(np.int64)
            table = pa.Table.from_arrays(
                [*map(pa.array, features), pa.array(labels)], schema=schema
            )
            as_csv.write_table(table)
            as_parquet.write_table(table)
    return paths


def load_table(path: Path) -> None:
    """Load a table with the usual settings of data=table."""
    load(
        DataConfig(
            "table",
            path=str(path),
            target="y",
            num_train=None,
            num_val=None,
            val_share=0.15,
            test_share=0.15,
            scale="standard",
        )
    )


def in_a_process(read: Callable[[Path], object], path: Path) -> Taken:
    """Return what reading a file takes in a process that has done nothing else."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(_measured, read, path).result()


def _measured(read: Callable[[Path], object], path: Path) -> Taken:
    before = int(OWN_PAGES.read_text().split()[1]) * resource.getpagesize()
    started = time.perf_counter()
    read(path)
    seconds = time.perf_counter() - started
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Taken(seconds, peak - before)


if __name__ == "__main__":
    main()
