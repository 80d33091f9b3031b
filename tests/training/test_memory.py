"""Groups for which memory runs out, and processes that are killed as if it had: halves go on."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from pipeline.training.memory import is_lack_of_memory
from tests import command
from tests.command import Done
from tests.faults import sweeps as left
from tests.training.test_workers import GRID, TWO, needs_two_cores, workers_of

LARGE = ("-m", "seed=0,1,2,3", "dropout=input", "data.batch_size=24000", "trainer.max_epochs=2")
"""Two groups of two members: every seed has batches of its own, with draws and masks."""

ENOUGH_MB, ENOUGH_FOR_ONE_MB, TOO_LITTLE_MB = 3000, 600, 300
"""A group of two takes some 750 MB, a run alone 450."""


def train(root: Path, mnist_root: Path, limit_mb: int) -> Done:
    root.mkdir()
    typed = (*LARGE, TWO, "trainer=cpu", f"root={root}", f"data.root={mnist_root}")
    return command.run(root, str(limit_mb), *typed, module="tests.training.limited")


@needs_two_cores
def test_a_group_for_which_memory_runs_out_goes_on_in_halves(tmp_path: Path, mnist_root: Path):
    undisturbed, limited = tmp_path / "undisturbed", tmp_path / "limited"
    assert train(undisturbed, mnist_root, ENOUGH_MB).code == 0
    done = train(limited, mnist_root, ENOUGH_FOR_ONE_MB)
    assert (done.code, done.stderr) == (0, "")
    said = [line for line in done.stdout.splitlines() if line.startswith("memory ran out (")]
    assert len(said) == 2
    assert all(
        it.endswith(": the 2 runs of this group go on in two of half the size") for it in said
    )
    check_undisturbed(limited, undisturbed, 1e-4)


@needs_two_cores
def test_a_run_that_has_too_little_memory_alone_says_what_to_do(tmp_path: Path, mnist_root: Path):
    done = train(tmp_path / "root", mnist_root, TOO_LITTLE_MB)
    assert done.code == 1
    assert "Traceback" not in done.stderr
    runs = command.children(tmp_path / "root")
    assert [run.info.status for run in runs] == ["FAILED"] * 4
    for run in runs:
        assert run.data.tags["error"].startswith("memory ran out (")
        assert "make model.hidden or data.batch_size smaller" in run.data.tags["error"]


def check_undisturbed(root: Path, undisturbed: Path, tolerance: float) -> None:
    """Check that a sweep has all runs, once, and the numbers of one that nothing happened to."""
    expected, found = left.histories(undisturbed), left.histories(root)
    left.check_whole(root, len(expected))
    assert left.deleted(root) == []
    assert list((root / "mlruns" / "checkpoints").glob("*")) == []
    assert found.keys() == expected.keys()
    for key, metrics in expected.items():
        for metric, values in metrics.items():
            assert found[key][metric] == pytest.approx(values, rel=tolerance), metric


@pytest.mark.parametrize(
    ("error", "is_lack"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`"), True),
        (RuntimeError("CUDA error: device-side assert triggered"), False),
        (ValueError("can't allocate memory"), False),
    ],
)
def test_what_lack_of_memory_looks_like(error: Exception, is_lack: bool):
    assert is_lack_of_memory(error) == is_lack
    later = RuntimeError("a CUDA graph can't be recorded")  # what may follow from it
    later.__context__ = error
    assert is_lack_of_memory(later) == is_lack


LONG = (*GRID, TWO, "data=digits", "trainer=cpu", "trainer.max_epochs=40")

CASES = {
    "before its first checkpoint": ("trainer.checkpoint_every_epochs=39",),
    "after a checkpoint": ("trainer.checkpoint_every_epochs=5",),
}


@needs_two_cores
@pytest.mark.parametrize("case", CASES)
def test_members_of_a_process_that_is_killed_go_on_in_halves(case: str, tmp_path: Path):
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    undisturbed.mkdir()
    killed.mkdir()
    typed = (*LONG, "trainer.precision=float64", *CASES[case])
    assert command.run(undisturbed, *typed, f"root={undisturbed}").code == 0
    with command.started(killed, *typed, f"root={killed}") as process:
        before = command.read_until(process, "group 2/2  epoch 1[0-9]/")
        os.kill(workers_of(process.pid)[1], signal.SIGKILL)
        stdout, stderr = process.communicate()
    assert (process.returncode, stderr) == (0, "")
    assert "was ended from outside (SIGKILL), as it is when memory runs out: the 2 runs" in stdout
    is_from_start = " epoch 1/40 " in stdout
    assert is_from_start == (case == "before its first checkpoint"), before + stdout
    check_undisturbed(killed, undisturbed, 1e-9)


@needs_two_cores
def test_a_run_whose_process_is_killed_though_it_is_alone_fails_and_can_be_resumed(tmp_path: Path):
    endless = (*LONG, "trainer.max_epochs=100000", "trainer.checkpoint_every_epochs=1")
    with command.started(tmp_path, *endless, f"root={tmp_path}") as process:
        command.read_until(process, "group 2/2  epoch 3/")
        while process.poll() is None:
            for worker in workers_of(process.pid):
                with suppress(ProcessLookupError):
                    os.kill(worker, signal.SIGKILL)
            time.sleep(0.2)
        stdout, stderr = process.communicate()
    assert process.returncode == 1
    assert "Traceback" not in stderr
    assert stdout.count("the 2 runs of this group go on in two of half the size") == 2
    runs = command.children(tmp_path)
    assert [run.info.status for run in runs] == ["FAILED"] * 4
    assert all("ended from outside (SIGKILL)" in run.data.tags["error"] for run in runs)
    (first, *_) = left.plan(tmp_path, *endless, "resume=last")
    assert first == "0 finished, 4 to run, 4 of them from a checkpoint"
