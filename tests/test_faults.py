"""Things go wrong in the middle of a sweep, and many commands run at once.

More faults, each in its own module: tests/faults/.
"""

from __future__ import annotations

import re
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from matplotlib.image import imread

from tests import command
from tests.faults import sweeps

if TYPE_CHECKING:
    from pathlib import Path

    from mlflow.entities import Run

    from tests.command import Done

# A run that diverges.

DECAYS = [*(f"0.00{number}" for number in range(1, 10)), "0.01", "0.02", "1e30"]
GRID = ("-m", "trainer.max_epochs=2", f"optimizer.weight_decay={','.join(DECAYS)}")


@dataclass(frozen=True)
class Diverging:
    """A sweep of twelve runs of which one diverges; then resumed."""

    root: Path
    done: Done
    runs: list[Run]
    again: Done


@pytest.fixture(scope="module")
def diverging(tmp_path_factory: pytest.TempPathFactory) -> Diverging:
    root = tmp_path_factory.mktemp("diverging")
    done = command.train(root, *GRID)
    runs = command.children(root)
    return Diverging(root, done, runs, command.train(root, *GRID, "resume=last"))


def by_status(runs: list[Run], status: str) -> set[str]:
    return {run.info.run_id for run in runs if run.info.status == status}


def test_a_run_that_diverges_spoils_none_of_the_others(diverging: Diverging):
    assert diverging.done.code == 1
    assert len(by_status(diverging.runs, "FINISHED")) == 11
    (failed,) = by_status(diverging.runs, "FAILED")
    (row,) = [line for line in diverging.done.stdout.splitlines() if line.startswith(" 1e+30")]
    assert "0/1" in row
    assert "incomplete" in row
    *_, heading, line = diverging.done.errors
    assert heading == "error: 1 of 12 runs failed:"
    assert failed in line
    assert "optimizer.weight_decay=1e" in line


def test_a_run_that_diverges_says_when_why_and_what_to_try(diverging: Diverging):
    failed = diverging.runs[-1]
    error = failed.data.tags["error"]
    assert "epoch 1" in error
    assert re.search(r"step \d+ of 63", error)
    assert "optimizer.weight_decay" in error
    assert error in (command.artifacts(failed) / "traceback.txt").read_text()


def test_a_sweep_with_a_failed_run_still_shows_and_keeps_its_table(diverging: Diverging):
    parent = command.parent(diverging.root)
    assert parent.info.status == "FAILED"
    assert [row["status"] for row in sweeps.rows(parent)] == ["FINISHED"] * 11 + ["FAILED"]
    assert imread(command.artifacts(parent) / "comparison.png").size > 0
    assert "1 run diverged: nothing is said over them." in diverging.done.stdout


def test_only_the_run_that_failed_is_tried_again(diverging: Diverging):
    assert diverging.again.stdout.splitlines()[0] == "11 finished, 1 to run"
    runs = list(sweeps.cells(diverging.root).values())
    assert by_status(runs, "FINISHED") == by_status(diverging.runs, "FINISHED")
    assert len(by_status(runs, "FAILED")) == 1
    gone = {run.info.run_id for run in sweeps.deleted(diverging.root)}
    assert gone == by_status(diverging.runs, "FAILED")
    assert [row["optimizer.weight_decay"] for row in sweeps.table(diverging.root)][-1] == "1e+30"


def test_it_fails_again_for_the_same_reason(diverging: Diverging):
    assert diverging.again.code == 1
    for done in (diverging.done, diverging.again):
        assert "diverged" in done.errors[-1]
        assert "optimizer.weight_decay" in done.errors[-1]
        assert "Traceback" not in done.stdout + done.stderr


# Many at once.

NUM_PROCESSES = 16
PATIENCE_S = 900


@pytest.mark.slow
def test_processes_that_start_at_once_on_a_fresh_root_all_finish(tmp_path: Path):
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                command.started(
                    tmp_path,
                    *("trainer=cpu", "data.num_train=500", "trainer.max_epochs=2"),
                    *(f"root={tmp_path}", f"seed={seed}"),
                    limit_s=PATIENCE_S,
                )
            )
            for seed in range(NUM_PROCESSES)
        ]
        outputs = ["".join(process.communicate()) for process in processes]
    assert [process.returncode for process in processes] == [0] * NUM_PROCESSES, outputs
    for output in outputs:
        for trouble in ("duplicate column", "database is locked", "Traceback"):
            assert trouble not in output
    wrote = [line for output in outputs for line in output.splitlines() if "wrote 5" in line]
    assert len(wrote) == 1  # 55 MB of MNIST, by one of them
    runs = command.runs(tmp_path)
    assert [run.info.status for run in runs] == ["FINISHED"] * NUM_PROCESSES
    assert {run.data.params["seed"] for run in runs} == set(map(str, range(NUM_PROCESSES)))
    assert len({run.info.experiment_id for run in runs}) == 1
    for run in runs:
        assert list(command.history(tmp_path, run, "test/accuracy")) == [1, 2]
    assert sweeps.spooled(tmp_path) == []
