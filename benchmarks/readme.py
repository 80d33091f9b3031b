"""README's table of numbers, from those that the benchmarks have kept.

    python -m benchmarks --results benchmarks/results.json
    python -m benchmarks.readme

A test holds README to this.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["README", "RESULTS", "SECTION", "in_place", "table"]

README = Path(__file__).parent.parent / "README.md"
RESULTS = Path(__file__).with_name("results.json")

SECTION = "numbers"

INTRODUCTION = (
    "Each comes from a script in `benchmarks/` (`make bench` runs them all, with `BUDGET=--quick`"
    " in minutes) and this table from `python -m benchmarks.readme`: medians, ratios within one"
    " run; on {machine}."
)

ROWS = (
    (
        "training one default run, one thread, against a hand-written PyTorch loop"
        " (`python -m benchmarks.single_run`)",
        "{single_run[to_loop]:.2f} × its time;"
        " Lightning over a DataLoader takes {single_run[lightning_to_loop]:.1f} ×",
    ),
    (
        "28 runs of 784-10, one epoch, training only (`python -m benchmarks.fused`)",
        "{fused[seconds]:.2f} s: {fused[to_products]:.1f} × the two matrix products of a step alone"
        ", {fused[to_floor]:.2f} × the same by `torch.mm`; {fused[hand_written]:.0f} × faster than"
        " the hand-written loop run by run, {fused[lightning]:.0f} × than Lightning over a"
        " DataLoader, {fused[vmap]:.1f} × than `torch.func` vmap(grad), {fused[jax]:.2f} × than JAX"
        " vmap and jit; evaluating train, val and test takes {fused[evaluation]:.0%} more",
    ),
    (
        "the same on a GPU, {gpu[device]}; and 1,000 runs of it (same script)",
        "{gpu[fused][seconds]:.3f} s: {gpu[fused][to_products]:.1f} × the products,"
        " {gpu[fused][hand_written]:.0f} × faster than the loop run by run on that GPU,"
        " {gpu[fused][vmap]:.0f} × than vmap(grad); JAX takes {gpu[fused][jax]:.1f} × its time;"
        " 1,000 runs {gpu[scaling][seconds]:.2f} s, {gpu[scaling][hand_written]:.0f} × faster than"
        " the loop",
    ),
    (
        "an epoch of the same in each of two sweeps at once; of three; of a single run beside a"
        " sweep (`python -m benchmarks.company`)",
        "{company[two_sweeps]:.1f} ×; {company[three_sweeps]:.1f} ×; {company[single_run]:.1f} × as"
        " long as alone",
    ),
    (
        "whole sweeps, process start to all runs in MLflow, warm (`python -m benchmarks.sweep`)",
        "28 runs of 5 epochs {sweep[few]:.1f} s; 1,000 runs of one epoch {sweep[many]:.0f} s, of"
        " which train {sweep[many_train]:.0f}, track {sweep[many_track]:.0f} s,"
        " {sweep[many_faster]:.2f} × faster than by one process; 10,000 runs of one"
        " epoch of digits {sweep[most]:.0f} s and {sweep[most_gb]:.1f} GB, {sweep[files]:.0f} files"
        " a run; once finished, `resume=last` {sweep[most_resumed]:.1f} s",
    ),
    (
        "500 runs of a table of 20,000 × 50: 100 settings × 5 seeds, 20 epochs, from the file to"
        " the answer (`python -m benchmarks.grid_search`)",
        "{grid_search[seconds]:.0f} s: {grid_search[to_sklearn]:.1f} × faster than scikit-learn's"
        " GridSearchCV over MLPClassifier on all cores, {grid_search[to_loop]:.0f} × than a PyTorch"
        " loop; accuracies of a setting are {grid_search[apart]:.1f} points apart on average",
    ),
    (
        "a table of a million rows × 100 as training, validation and test examples"
        " (`python -m benchmarks.own_data`)",
        "CSV {own_data[csv_to_pandas]:.1f} × and Parquet {own_data[parquet_to_pandas]:.1f} × the"
        " time of `pandas.read_csv`, in {own_data[csv_memory]:.1f} × the memory of the float32"
        " features (pandas alone {own_data[pandas_memory]:.1f} ×)",
    ),
    (
        "the report on all ten studies and the theory, from nothing"
        " (`python -m benchmarks.reproduce`)",
        "1,782 runs, other work beside them: {reproduce[everything]:.0f} s;"
        " again {reproduce[again]:.0f} s",
    ),
    (
        "`python -m pipeline` from start to end, warm (`python -m benchmarks.end_to_end`)",
        "{end_to_end[seconds]:.1f} s, of which imports {end_to_end[imports]:.1f} s;"
        " {end_to_end[gb]:.1f} GB at most",
    ),
    ("tracking, share of a run's time (same script)", "{end_to_end[tracking]:.0f} %"),
    (
        "`resume=last` of 1,000 finished cells (`python -m benchmarks.resume`)",
        "{resume[look_up]:.1f} s more than of one; resumability costs an undisturbed sweep"
        " {resume[share]:.1f} %",
    ),
    (
        "the answer to 1,000 runs, over that to two (`python -m benchmarks.compare`)",
        "{compare[local]:.1f} s from the local store, {compare[server]:.1f} s from a server",
    ),
    (
        "validation accuracy that the default learning rates lose against the best of twelve: every"
        " optimizer, softmax and mlp, digits, MNIST and Fashion-MNIST"
        " (`python -m benchmarks.defaults`)",
        "{defaults[median]:.1f} points in the median, {defaults[largest]:.1f} at most",
    ),
)


def table(results: Path) -> str:
    """Return the section's text; without a GPU's row where none was measured.

    Args:
        results: the file that the benchmarks have kept their numbers in.

    Raises:
        KeyError: a number is missing.
    """
    numbers: dict[str, Any] = json.loads(results.read_text())
    rows = [row for row in ROWS if "gpu" in numbers or "{gpu[" not in row[1]]
    lines = [
        f"| {what.format(**numbers)} | {measured.format(**numbers)} |" for what, measured in rows
    ]
    head = INTRODUCTION.format(**numbers)
    return "\n".join([head, "", "| what | measured |", "|---|---|", *lines, ""])


def in_place(text: str, section: str, content: str) -> str:
    """Return README's text with another content between a section's two comments."""
    begin, end = f"<!-- {section} -->\n", f"<!-- /{section} -->\n"
    before, _, rest = text.partition(begin)
    return before + begin + content + end + rest.partition(end)[2]


def main() -> None:
    """Write the section."""
    README.write_text(in_place(README.read_text(), SECTION, table(RESULTS)))


if __name__ == "__main__":
    main()
