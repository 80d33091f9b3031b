"""What very many finished runs cost in PostgreSQL: time, rows, the database's size, memory.

    python -m benchmarks.postgresql [--quick]

Writes 100,000 records of digits, one epoch each, in sweeps of 1,000, directly into a server of its
own, then looks one sweep up among them. Needs PostgreSQL's programs and the extra `postgresql`.
"""

from __future__ import annotations

import resource
import tempfile
import time
from pathlib import Path

import psycopg

from benchmarks.timing import Options, machine, make_parser, print_row
from pipeline.config.schema import Config, DataConfig, TrainerConfig
from pipeline.tracking.provenance import config_hash, origin_tags, params, run_name
from pipeline.tracking.record import DatasetRecord, Record, new_ids
from pipeline.tracking.store import Store
from tests.postgresql import make_database, running_server

PER_SWEEP = 1_000

KEYS = [f"{split}/{name}" for split in ("train", "val", "test") for name in ("loss", "accuracy")]
BEST = ["epoch", "val_loss", "val_accuracy", "test_loss", "test_accuracy"]
METRICS = dict.fromkeys([*KEYS, *(f"best/{name}" for name in BEST), "time/fit_s"], 0.5)

TABLES = ("runs", "params", "tags", "metrics", "latest_metrics", "inputs", "input_tags")


def main() -> None:
    """Write the records and print what they cost."""
    options = make_parser(__doc__, rounds=1).parse_args(namespace=Options())
    print(machine())
    num_sweeps = 2 if options.quick else 100
    with tempfile.TemporaryDirectory() as folder, running_server() as server:
        uri = make_database(server, "mlflow")
        options.keep("postgresql", _fill(Store(uri, Path(folder)), num_sweeps))


def _fill(store: Store, num_sweeps: int) -> dict[str, float]:
    """Write sweeps, print and return what all of it took."""
    parent = _write(store, [_record("sweep", {"sweep": "seed"})])
    size, memory = _size_mb(store), _peak_mb()
    seconds: list[float] = []
    for number in range(num_sweeps):
        parent = _write(store, [_record("sweep", {"sweep": "seed"})])
        first = number * PER_SWEEP
        records = [_run(seed, parent) for seed in range(first, first + PER_SWEEP)]
        started = time.perf_counter()
        _write(store, records)
        seconds.append(time.perf_counter() - started)
    rows = {table: _ask(store, f"SELECT count(*) FROM {table}") for table in TABLES}  # noqa: S608
    started = time.perf_counter()
    assert len(store.children(parent)) == PER_SWEEP
    taken = {
        "seconds": sum(seconds),
        "rows": sum(rows.values()),
        "mb": _size_mb(store) - size,
        "memory_mb": _peak_mb() - memory,
        "look_up": time.perf_counter() - started,
    }
    print_row(f"{num_sweeps * PER_SWEEP:,} records", [taken["seconds"]], "s")
    print_row("  the first 1,000", [seconds[0]], "s")
    print_row("  the last 1,000", [seconds[-1]], "s")
    for table, number in rows.items():
        print_row(f"  rows of {table}", [number], "")
    print_row("  database", [taken["mb"]], "MB")
    print_row("  memory more than for one", [taken["memory_mb"]], "MB")
    print_row("  look up 1,000 of them", [taken["look_up"]], "s")
    return taken


def _run(seed: int, parent_run_id: str) -> Record:
    """Return the record of a run of digits that has just started."""
    config = Config(seed=seed, data=DataConfig(name="digits"), trainer=TrainerConfig(max_epochs=1))
    tags = {
        "config_hash": config_hash(config),
        "data_hash": "0" * 64,
        "checkpoint": "0" * 32,
        "mlflow.parentRunId": parent_run_id,
    }
    record = _record(run_name([f"seed={seed}"]), tags)
    record.params = params(config)
    record.dataset = DatasetRecord("digits", "0" * 64, "scikit-learn", 1242, 200, 355)
    return record


def _record(name: str, tags: dict[str, str]) -> Record:
    return Record("digits", name, {**origin_tags(), "lock": "0" * 32, **tags})


def _write(store: Store, records: list[Record]) -> str:
    """Begin runs and end them, as a sweep does; return the id of the first."""
    for record, record_id in zip(records, new_ids(len(records)), strict=True):
        record.id = record_id
    store.begin(records)
    for record in records:
        record.log(1, METRICS)
        record.finish("FINISHED")
    assert store.send(records) == []
    return records[0].known_run_id


def _size_mb(store: Store) -> float:
    return _ask(store, "SELECT pg_database_size(current_database())") / 2**20


def _ask(store: Store, question: str) -> float:
    with psycopg.connect(store.uri.replace("+psycopg", "")) as connection:
        (answer,) = connection.execute(question.encode()).fetchone() or (0,)
    return float(answer)


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


if __name__ == "__main__":
    main()
