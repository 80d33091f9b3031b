"""A run's record: all that is known of it, in a folder of its own until the store has it.

The folder is what makes tracking safe. The finished record is written there before it is sent to
the store, and removed only after the store has taken everything.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from pipeline.errors import UserError
from pipeline.files import write_whole
from pipeline.tracking import paths

__all__ = [
    "CURVES",
    "FILE_NAME",
    "DatasetRecord",
    "Metric",
    "Record",
    "RunResult",
    "curve",
    "now_ms",
    "read_record",
]

FILE_NAME = "record.json"
"""In a record's folder, once the run has ended."""

Status = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]

CURVES = ("train/loss", "train/accuracy", "test/accuracy", "test/ignored_classes")
"""The metrics that figures and reports show by epoch."""


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
    params: dict[str, str]
    metrics: dict[str, float]
    seconds: float | None
    error: str | None
    curves: dict[str, list[float]]
    """CURVES, epoch by epoch; see `curve`."""
    tags: dict[str, str]

    @property
    def objective(self) -> float:
        """What sweepers optimise: validation accuracy; without such examples, test accuracy."""
        return self.metrics.get("val/accuracy", self.metrics["test/accuracy"])


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


@dataclass
class Record:
    """One run, or one sweep, as MLflow will show it."""

    folder: str
    uri: str
    experiment_name: str
    name: str
    tags: dict[str, str]
    params: dict[str, str] = field(default_factory=dict[str, str])
    metrics: list[Metric] = field(default_factory=list[Metric])
    dataset: DatasetRecord | None = None
    status: Status = "RUNNING"
    start_time: int = field(default_factory=now_ms)
    end_time: int | None = None
    run_id: str | None = None
    num_metrics_sent: int = 0

    @property
    def artifacts(self) -> Path:
        """The folder whose contents become the run's artifacts."""
        return Path(self.folder) / "artifacts"

    def log(self, step: int, metrics: dict[str, float]) -> None:
        """Add metrics of one step (an epoch, counted from 1)."""
        timestamp = now_ms()
        self.metrics += [Metric(key, value, step, timestamp) for key, value in metrics.items()]

    def finish(self, status: Status) -> None:
        """Set the status, FINISHED, FAILED or KILLED, and the time."""
        self.status = status
        self.end_time = now_ms()

    def save(self) -> None:
        """Write the record into its folder, whole or not at all.

        Raises:
            UserError: it can't be written.
        """
        target = Path(self.folder) / FILE_NAME
        try:
            write_whole(target, json.dumps(asdict(self)).encode())
        except OSError as error:
            raise UserError(
                f"{target}: can't be written ({error.strerror}), so the run isn't tracked. "
                "Make room there and run again."
            ) from error

    def result(self) -> RunResult:
        """Return the record as a result, for a store that doesn't answer."""
        return RunResult(
            run_id=self.run_id or "(not in the store yet)",
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
        )

    def remove(self) -> None:
        """Remove the folder: the store has everything."""
        shutil.rmtree(self.folder)


def read_record(folder: Path) -> Record:
    """Return the record of a folder, which may have been moved with its root since.

    Raises:
        UserError: the file is damaged.
        FileNotFoundError: it is gone: another process has just sent it.
    """
    from pydantic import TypeAdapter, ValidationError  # records are rarely read

    path = folder / FILE_NAME
    try:
        record = TypeAdapter(Record).validate_json(path.read_bytes(), strict=True)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(key) for key in problem["loc"]) or FILE_NAME
        raise UserError(
            f"{path}: the record is damaged ({where}: {problem['msg']}). Move it away."
        ) from error
    if record.uri == paths.database_uri(paths.root_of_record(Path(record.folder))):
        record.uri = paths.database_uri(paths.root_of_record(folder))
    record.folder = str(folder)
    return record
