"""Runs as a store would give them, with numbers that a test chooses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pipeline.comparison.subject import Subject
from pipeline.tracking.record import RunResult

Score = Callable[[Mapping[str, str], int], float]


def run(
    values: Mapping[str, str],
    seed: int,
    accuracy: float,
    *,
    status: str = "FINISHED",
    error: str | None = None,
    code: str = "code",
) -> RunResult:
    """A run of one cell and seed, whose accuracy on validation and test examples is given."""
    key = " ".join(f"{name}={value}" for name, value in [*values.items(), ("seed", seed)])
    metrics = {
        "train/accuracy": accuracy + 0.01,
        "val/accuracy": accuracy,
        "test/accuracy": accuracy - 0.01,
        "val/loss": 1 - accuracy,
        "train/loss": 1 - accuracy,
        "test/loss": 1 - accuracy,
        "time/fit_s": 0.5,
    }
    return RunResult(
        run_id=f"id of {key} {status} {code}",
        name=key,
        status=status,
        params={
            **values,
            "seed": str(seed),
            "data.name": "mnist",
            "trainer.accelerator": str(seed),
        },
        metrics=metrics if status == "FINISHED" else {},
        seconds=1.0,
        error=error,
        curves={},
        tags={"config_hash": key, "code_hash": code, "data_hash": "data", "git.commit": code},
    )


def grid(cells: Sequence[Mapping[str, str]], num_seeds: int, score: Score) -> list[RunResult]:
    """The finished runs of cells, each with the seeds from 0."""
    return [run(values, seed, score(values, seed)) for values in cells for seed in range(num_seeds)]


def subject(
    runs: Sequence[RunResult], asked_for: Sequence[RunResult] = (), command: str | None = None
) -> Subject:
    """What a sweep is about that asked for the runs of a list, or nobody knows for which."""
    overrides = {it.tags["config_hash"]: it.name.split() for it in asked_for}
    return Subject("a sweep", runs, overrides, command, "0123456789abcdef" if command else None)
