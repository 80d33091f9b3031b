"""Runs that are killed and go on from a checkpoint, against runs that nobody disturbed."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests import command
from tests.faults import moments, sweeps
from tests.faults.moments import Moment

EPOCHS = 60

GRID = (
    "-m",
    "seed=0,1",
    "loss=mse,nll",
    "data=digits",
    "trainer=cpu",
    f"trainer.max_epochs={EPOCHS}",
    "trainer.checkpoint_every_epochs=4",
)

CASES = {
    "fused, adam": ("hydra/launcher=fused", "optimizer=adam", "optimizer.lr=0.001"),
    "basic, momentum and dropout": (
        "hydra/launcher=basic",
        "optimizer=momentum",
        "optimizer.lr=0.01",
        "dropout=input",
        "dropout.p_keep=0.8",
    ),
    "basic, early stopping": (
        "hydra/launcher=basic",
        "trainer.early_stopping=true",
        "trainer.patience=25",
        "optimizer.lr=1.0",
    ),
}


def histories(root: Path) -> dict[str, dict[str, list[tuple[int, float]]]]:
    """Every metric of every cell by step, as often as the store has it, but for times."""
    client = command.client(root)
    return {
        run.info.run_name or "": {
            key: sorted(
                (point.step, point.value)
                for point in client.get_metric_history(run.info.run_id, key)
            )
            for key in run.data.metrics
            if not key.startswith("time/")
        }
        for run in command.children(root)
    }


def kill_at(root: Path, when: str, *arguments: str) -> None:
    with command.started(root, *arguments, f"root={root}") as process:
        command.read_until(process, when)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)


@pytest.mark.parametrize("case", CASES)
def test_a_killed_sweep_goes_on_to_the_numbers_of_an_undisturbed_one(case: str, tmp_path: Path):
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    undisturbed.mkdir()
    killed.mkdir()
    arguments = (*GRID, *CASES[case])
    assert command.run(undisturbed, *arguments, f"root={undisturbed}").code == 0
    kill_at(killed, "epoch 2[0-9]/", *arguments)
    assert list((killed / "mlruns" / "checkpoints").iterdir())
    done = command.run(killed, *arguments, f"root={killed}", "resume=last")
    assert (done.code, done.stderr) == (0, "")
    assert " of them from a checkpoint" in done.stdout
    assert "epoch 1/" not in done.stdout.partition("run 2/4")[0]
    assert {run.info.status for run in command.runs(killed)} == {"FINISHED"}
    assert histories(killed) == histories(undisturbed)
    assert not list((killed / "mlruns" / "checkpoints").iterdir())


def test_a_damaged_checkpoint_is_named_and_training_starts_from_the_one_before(tmp_path: Path):
    kill_at(tmp_path, "epoch 2[0-9]/", *GRID)
    (folder,) = (tmp_path / "mlruns" / "checkpoints").iterdir()
    newest = max(folder.glob("*.safetensors"))
    newest.write_bytes(newest.read_bytes()[:-8])
    done = command.run(tmp_path, *GRID, f"root={tmp_path}", "resume=last")
    assert done.code == 0
    assert f"{newest}: damaged" in done.stdout + done.stderr
    first = int(newest.name.split("-")[1]) - 4 + 1
    assert f"epoch {first}/{EPOCHS}" in done.stdout
    assert f"epoch {first - 1}/{EPOCHS}" not in done.stdout
    assert {run.info.status for run in command.runs(tmp_path)} == {"FINISHED"}


def test_what_is_left_of_a_group_goes_on_from_the_groups_checkpoint(tmp_path: Path):
    root, grid = tmp_path / "root", ("-m", "seed=0,1", "trainer.max_epochs=10")
    root.mkdir()
    grid = (*grid, "trainer.checkpoint_every_epochs=4")
    moments.kill_at(Moment("shutil.rmtree", "spool", 1), root, *grid)  # one of two is sent
    done = command.train(root, *grid, "resume=last")
    assert (done.code, done.stderr) == (0, "")
    plan, headline, *lines = done.stdout.splitlines()
    assert plan == "1 finished, 1 to run, 1 of them from a checkpoint"
    assert headline.startswith("run 2 of 2 goes on: ")
    epochs = [line.split()[1] for line in lines if line.startswith("epoch ")]
    assert epochs == ["9/10", "10/10"]
    sweeps.check_whole(root, 2)
