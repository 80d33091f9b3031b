"""A run's record: all that is known of it, kept until the store has it."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

__all__ = [
    "COMMONEST_TAG",
    "CURVES",
    "PRUNED_TAG",
    "DatasetRecord",
    "Metric",
    "Record",
    "RunEnd",
    "RunFilter",
    "RunResult",
    "curve",
    "new_ids",
    "now_ms",
]

Status = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]

CURVES = (
    *(f"{split}/{name}" for split in ("train", "val", "test") for name in ("loss", "accuracy")),
    "test/lost_classes",
    "test/adversarial_accuracy",
    "test/adversarial_confidence",
)
"""The metrics that figures and reports show by epoch."""


COMMONEST_TAG = "commonest"
"""Tag: the share of the validation examples that are of the commonest class, if that is much."""

PRUNED_TAG = "pruned"
"""The tag of a run that a search has stopped early; it says after which epoch."""


@dataclass(frozen=True)
class Metric:
    """One point of one metric; `timestamp` in milliseconds since 1970."""

    key: str
    value: float
    step: int
    timestamp: int


@dataclass(frozen=True)
class DatasetRecord:
    """What a run was trained on."""

    name: str
    digest: str
    source: str
    num_train: int
    num_val: int
    num_test: int


@dataclass(frozen=True)
class RunResult:
    """What tables and figures need of a run; `metrics` are the last values."""

    run_id: str
    name: str
    status: str
    """MLflow's, but PRUNED of a run that was stopped by a search, which MLflow calls FINISHED."""
    params: dict[str, str]
    metrics: dict[str, float]
    seconds: float | None
    error: str | None
    curves: dict[str, list[float]]
    """CURVES, epoch by epoch; see `curve`."""
    tags: dict[str, str]
    started_ms: int = 0
    """In milliseconds since 1970."""

    def __post_init__(self) -> None:
        if self.status == "FINISHED" and PRUNED_TAG in self.tags:
            object.__setattr__(self, "status", "PRUNED")

    @property
    def objective(self) -> float | None:
        """What sweepers optimise: validation accuracy, None without such examples."""
        return self.metrics.get("val/accuracy")

    @property
    def trained_on(self) -> str:
        """What people call its data: the user's file or folder, or the data set."""
        path = self.params.get("data.path")
        return Path(path).name if path else self.params["data.name"]


@dataclass(frozen=True)
class RunFilter:
    """Which runs are wanted; what is None is any."""

    experiment_id: str | None = None
    id_prefix: str | None = None
    """How their ids begin."""
    name: str | None = None
    status: str | None = None
    tag: str | None = None
    """They must have it."""
    value: str | None = None
    """What the tag must say."""
    other_tag: str | None = None
    """They must have it too."""
    with_deleted: bool = False

    def has_status(self, run: RunResult) -> bool:
        """Return whether a run has the status that is wanted; MLflow doesn't know PRUNED."""
        return self.status in (None, run.status)


@dataclass(frozen=True)
class RunEnd:
    """How a run ended that didn't end well, and why."""

    run_id: str
    status: str
    why: str


def curve(points: Iterable[tuple[int, float]]) -> list[float]:
    """Return a metric epoch by epoch, NaN for those that were not evaluated.

    Args:
        points: (epoch, value), epochs from 1.
    """
    values = dict(points)
    return [values.get(epoch, math.nan) for epoch in range(1, max(values, default=0) + 1)]


def now_ms() -> int:
    """Return the time in milliseconds since 1970, as MLflow counts it."""
    return time.time_ns() // 1_000_000


def new_ids(count: int) -> list[str]:
    """Return ids, of 32 hexadecimal digits, for records that belong together.

    They share how they begin, which is drawn, and then count: so a database keeps the rows of a
    group side by side and in their order, and writes a fourth of the pages that drawn ids would
    touch. The rest is drawn for each.
    """
    together = uuid.uuid4().hex[:8]
    return [f"{together}{number:06x}{uuid.uuid4().hex[:18]}" for number in range(count)]


@dataclass
class Record:
    """One run, or one sweep, as MLflow will show it."""

    experiment_name: str
    name: str
    tags: dict[str, str]
    params: dict[str, str] = field(default_factory=dict[str, str])
    dataset: DatasetRecord | None = None
    metrics: list[Metric] = field(default_factory=list[Metric])
    status: Status = "RUNNING"
    start_time: int = field(default_factory=now_ms)
    end_time: int | None = None
    paused_ms: int = 0
    """How long nobody worked on it between its sessions, which its end leaves out."""
    id: str = field(default_factory=lambda: new_ids(1)[0])
    """The run's id where the store lets us choose it; a tag of the run anywhere."""
    run_id: str | None = None
    """None until the store has the run."""
    num_metrics_sent: int = 0

    @property
    def known_run_id(self) -> str:
        """The id of a run that the store has."""
        assert self.run_id is not None
        return self.run_id

    def log(self, step: int, metrics: dict[str, float]) -> None:
        """Add metrics of one step (an epoch, counted from 1)."""
        timestamp = now_ms()
        self.metrics += [Metric(key, value, step, timestamp) for key, value in metrics.items()]

    def finish(self, status: Status) -> None:
        """Set the status, FINISHED, FAILED or KILLED, and the time."""
        self.status = status
        self.end_time = now_ms() - self.paused_ms

    def result(self) -> RunResult:
        """Return the record as a result."""
        return RunResult(
            run_id=self.run_id or f"{self.id} (not in the store yet)",
            name=self.name,
            status=self.status,
            params=self.params,
            metrics={metric.key: metric.value for metric in self.metrics},
            seconds=(self.end_time - self.start_time) / 1000 if self.end_time else None,
            error=self.tags.get("error"),
            curves={
                key: curve((it.step, it.value) for it in self.metrics if it.key == key)
                for key in CURVES
            },
            tags=self.tags,
            started_ms=self.start_time,
        )
