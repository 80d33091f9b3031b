"""The tables of docs/scaling.md, from the numbers that the benchmarks have kept.

    python -m benchmarks.scale --results benchmarks/results.json
    python -m docs.scaling

A test holds the page to this.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.readme import RESULTS, in_place

__all__ = ["PAGE", "up_to_date"]

PAGE = Path(__file__).with_suffix(".md")

MOST = 1_000_000

COST = (
    ("composing and checking its job, its identity", "{check_ms:.2g} ms"),
    ("training it as a member of a group, one epoch of digits", "{train_ms:.2g} ms"),
    ("tracking it: its rows in SQLite, five files and their checksums", "{track_ms:.2g} ms"),
    ("its part of the answer", "{answer_ms:.2g} ms"),
    ("all of that, on all cores together", "{cpu_ms:.2g} ms"),
    ("memory of all processes, while the sweep goes on", "{run_kb:.2g} kB"),
    ("`mlflow.db`", "{database_kb:.3g} kB"),
    ("the disk, that database included", "{disk_kb:.2g} kB in {files:.0f} files and folders"),
)


def up_to_date(page: str, results: Path) -> str:
    """Return the page's text with the tables of other results.

    Raises:
        KeyError: a number is missing.
    """
    numbers: dict[str, Any] = json.loads(results.read_text())
    page = in_place(page, "cost", _cost(numbers))
    return in_place(page, "sizes", _sizes(numbers))


def _cost(numbers: dict[str, Any]) -> str:
    scale = numbers["scale"]
    few, many = int(scale["few_runs"]), int(scale["many_runs"])
    rows = [(what, text.format(**scale)) for what, text in COST]
    told = (
        f"The difference between sweeps of {few:,} and of {many:,} runs of digits, by the number "
        f"of runs between them; on {numbers['machine']}. Times are the command's own, while its "
        "workers train beside it.\n\n"
    )
    return told + _table(["one more run", "costs"], rows)


def _sizes(numbers: dict[str, Any]) -> str:
    scale = numbers["scale"]
    few, many = int(scale["few_runs"]), int(scale["many_runs"])
    more = MOST - many
    per_run_s = sum(scale[f"{part}_ms"] for part in ("check", "train", "track", "answer")) / 1000
    compare_s = (scale["compare_many"] - scale["compare_few"]) / (many - few)
    rows: list[tuple[str, ...]] = [
        (
            "from the command to its answer",
            _time(scale["few"]),
            _time(scale["many"]),
            f"≈ {_time(scale['many'] + more * per_run_s)}",
        ),
        (
            "memory of all processes",
            f"{scale['few_gb']:.1f} GB",
            f"{scale['many_gb']:.1f} GB",
            f"≈ {scale['many_gb'] + more * scale['run_kb'] / 2**20:.0f} GB",
        ),
        ("`mlflow.db`", *(_about(count, scale["database_kb"]) for count in (few, many, MOST))),
        ("the disk", *(_about(count, scale["disk_kb"]) for count in (few, many, MOST))),
        ("files and folders", *(f"≈ {count * scale['files']:,.0f}" for count in (few, many, MOST))),
        (
            "`python -m pipeline.compare`",
            _time(scale["compare_few"]),
            _time(scale["compare_many"]),
            f"≈ {_time(scale['compare_many'] + more * compare_s)}",
        ),
        (
            "`resume=last`, all of them finished",
            "",
            _time(scale["resumed"]),
            f"≈ {_time(scale['resumed'] * MOST / many)}",
        ),
    ]
    rows.append(("a page of MLflow's, the best runs first", "", _time(scale["page"]), ""))
    stored = numbers["postgresql"]
    seconds, gb = stored["seconds"], stored["mb"] / 1024
    times = MOST / many
    rows += [
        ("their records into PostgreSQL", "", _time(seconds), f"≈ {_time(seconds * times)}"),
        ("the database there", "", f"{gb:.1f} GB", f"≈ {gb * times:.0f} GB"),
    ]
    head = ["runs of digits, one epoch", *(f"{count:,}" for count in (few, many, MOST))]
    return (
        "What has ≈ before it is computed from the cost of one more run; all else was measured.\n\n"
    ) + _table(head, rows)


def _about(count: int, kb: float) -> str:
    return f"≈ {count * kb / 2**20:.2g} GB"


def _time(seconds: float) -> str:
    """Return a time in the unit that people would say it in."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _table(head: list[str], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main() -> None:
    """Write the tables."""
    PAGE.write_text(up_to_date(PAGE.read_text(), RESULTS))


if __name__ == "__main__":
    main()
