"""Several GPUs: which ones runs are spread over, and processes that see one each.

There need be no GPU for that: what the processes here compute, they compute on the CPU.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from pipeline import process
from pipeline.config.schema import Config, DataConfig, TrackingConfig, TrainerConfig
from pipeline.engine.grouping import plan_groups
from pipeline.errors import InterruptedRunError
from pipeline.tracking.record import RunResult
from pipeline.training.fit import Epoch, Event, Task, fit
from pipeline.training.gpus import gpu_names, pick_gpus
from pipeline.training.group import Group, Job
from pipeline.training.memory import MemoryRanOutError
from pipeline.training.workers import Ended, Workers

FOUR = ["0", "1", "2", "3"]


@pytest.mark.parametrize(
    ("said", "count", "names"),
    [
        (None, 0, []),
        (None, 2, ["0", "1"]),
        ("", 2, ["0", "1"]),
        ("2,3", 2, ["2", "3"]),
        ("GPU-5ebe, MIG-17a", 2, ["GPU-5ebe", "MIG-17a"]),
        ("0,7,1", 1, ["0"]),
    ],
)
def test_gpus_are_named_as_the_user_names_them(said: str | None, count: int, names: list[str]):
    assert gpu_names(said, count) == names


@pytest.mark.parametrize(
    ("visible", "num_runs", "max_epochs", "num_workers", "picked"),
    [
        (FOUR[:1], 1000, 100, None, FOUR[:1]),
        (FOUR, 28, 5, None, FOUR[:1]),  # a second or two of training
        (FOUR, 1000, 15, None, FOUR[:2]),
        (FOUR, 1000, 100, None, FOUR),
        (FOUR, 1000, 100, 3, FOUR[:3]),
        (FOUR, 1000, 100, 1, FOUR[:1]),
        (FOUR, 1000, 100, 9, FOUR),
        (FOUR, 3, 100_000, None, FOUR[:3]),
        (["5", "GPU-ab"], 1000, 100, None, ["5", "GPU-ab"]),
    ],
)
def test_runs_are_spread_over_as_many_gpus_as_they_are_worth(
    visible: list[str], num_runs: int, max_epochs: int, num_workers: int | None, picked: list[str]
):
    configs = [Config(seed, trainer=TrainerConfig("gpu", max_epochs)) for seed in range(num_runs)]
    assert pick_gpus(visible, configs, num_workers) == picked
    groups = plan_groups(configs, num_gpus=len(picked))
    sizes = [len(group) for group in groups]
    assert len(sizes) % len(picked) == 0
    assert max(sizes) - min(sizes) <= len(picked)


def tell(seconds: float, say: Callable[[tuple[int, str]], None]) -> None:
    """Say which process this is and which GPU it sees, and take some time."""
    say((os.getpid(), os.environ["CUDA_VISIBLE_DEVICES"]))
    time.sleep(seconds)


def test_every_process_sees_one_gpu_which_the_next_one_gets_if_it_is_killed():
    before = os.environ.get("CUDA_VISIBLE_DEVICES")
    workers = Workers[float, tuple[int, str]](2, tell, ["5", "GPU-ab"])
    tasks = iter(enumerate([60.0, 0.1, 0.1, 0.1]))
    seen: list[tuple[int, tuple[int, str]]] = []
    errors: dict[int, Exception | None] = {}

    def handle(number: int, event: tuple[int, str] | Ended) -> None:
        if isinstance(event, Ended):
            errors[number] = event.error
            return
        seen.append((number, event))
        if number == 0:
            os.kill(event[0], signal.SIGKILL)

    try:
        workers.do(partial(next, tasks, None), handle)
    finally:
        workers.close()
    assert isinstance(errors.pop(0), MemoryRanOutError)
    assert errors == {1: None, 2: None, 3: None}
    gpu_of = {pid: gpu for _, (pid, gpu) in seen}
    assert os.getpid() not in gpu_of
    assert sorted(gpu_of.values()) in (["5", "5", "GPU-ab"], ["5", "GPU-ab"])
    assert os.environ.get("CUDA_VISIBLE_DEVICES") == before


def groups_of(root: Path, max_epochs: int = 3) -> list[Group]:
    """Two groups of two runs each."""
    jobs = [
        Job(
            Config(
                seed,
                data=DataConfig("digits", "", 20, 1000, 200),
                trainer=TrainerConfig("cpu", max_epochs, precision="float64"),
                tracking=TrackingConfig(),
                root=str(root),
            ),
            [f"seed={seed}"],
        )
        for seed in range(4)
    ]
    return [Group(jobs[:2], [0, 1], None), Group(jobs[2:], [2, 3], None)]


def train(
    groups: list[Group], gpus: list[str], watch: Callable[[Event | Ended], None] | None = None
) -> list[RunResult | Exception]:
    workers = Workers[Task, Event](len(gpus), fit, gpus)
    tasks = ((number, group.start(alone=not gpus)) for number, group in enumerate(groups))

    def handle(number: int, event: Event | Ended) -> None:
        groups[number].handle(event)
        if watch is not None:
            watch(event)

    try:
        workers.do(partial(next, tasks, None), handle)  # pyright: ignore[reportArgumentType]
    finally:
        workers.close()
    return [outcome for group in groups for outcome in group.outcomes]


def metrics_of(outcome: RunResult | Exception) -> dict[str, float]:
    assert isinstance(outcome, RunResult), outcome
    return {key: value for key, value in outcome.metrics.items() if not key.startswith("time/")}


def test_groups_get_the_numbers_in_processes_with_a_gpu_each_that_they_get_here(tmp_path: Path):
    spread = train(groups_of(tmp_path / "spread"), ["0", "1"])
    here = train(groups_of(tmp_path / "here"), [])
    assert len(spread) == 4
    for one, other in zip(spread, here, strict=True):
        assert metrics_of(one) == pytest.approx(metrics_of(other), rel=1e-9)


def test_processes_with_a_gpu_each_stop_where_they_can_go_on_if_this_one_is_asked_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(process, "_stop", bytearray(1))  # this process goes on with other tests

    def watch(event: Event | Ended) -> None:
        if isinstance(event, Epoch) and event.number == 2:
            process.ask_to_stop()

    outcomes = train(groups_of(tmp_path, max_epochs=100_000), ["0", "1"], watch)
    assert len(outcomes) == 4
    for outcome in outcomes:
        assert isinstance(outcome, InterruptedRunError)
        assert "it can go on from there" in str(outcome)
