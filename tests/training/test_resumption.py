"""Runs that are killed and go on from a checkpoint, against runs that nobody disturbed."""

from __future__ import annotations

import os
import re
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.config.schema import TrainerConfig
from pipeline.engine.evaluation import Evaluation
from pipeline.engine.module import GroupModule
from pipeline.training.checkpoint import Checkpoint, load_newest
from pipeline.training.fit import make_trainer
from pipeline.training.resumption import KeepCheckpoints
from tests import command
from tests.engine.many_classes import learning, one_of_each
from tests.faults import moments, sweeps

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
    "fused, attacked at evaluation": ("hydra/launcher=fused", "attack=fgsm"),
    "fused, schedules with a warm-up": (
        "hydra/launcher=fused",
        "optimizer=adam",
        "optimizer.lr=0.002",
        "schedule=cosine",
        "schedule.warmup_epochs=25.5",
    ),
    "basic, evaluated now and then, ended by steps": (
        "hydra/launcher=basic",
        "trainer.evaluate_every=7",
        "trainer.max_steps=3700",
    ),
    "fused, some members have stopped early": (
        "hydra/launcher=fused",
        "trainer.early_stopping=true",
        "trainer.patience=3",
        "optimizer.lr=2.0",
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


def test_members_of_a_killed_group_go_on_one_by_one_none_from_the_start(tmp_path: Path):
    kill_at(tmp_path, "epoch 2[0-9]/", *GRID)
    one_by_one = (*GRID, f"root={tmp_path}", "resume=last", "hydra/launcher=basic")
    with command.started(tmp_path, *one_by_one) as process:  # and killed again, in the second run
        said = command.read_until(process, "run 2 of 4")
        said += command.read_until(process, "epoch 5[0-9]/")
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)
    done = command.run(tmp_path, *one_by_one)
    assert (done.code, done.stderr) == (0, "")
    assert "\nepoch 1/" not in said + done.stdout
    second_run = done.stdout.partition("run 3 of 4")[0]
    first = min(int(number) for number in re.findall(r"^epoch (\d+)/", second_run, re.MULTILINE))
    assert first > 45  # not from the checkpoint of the group, but from its own
    assert {run.info.status for run in command.runs(tmp_path)} == {"FINISHED"}
    assert len(command.children(tmp_path)) == 4
    for run in command.children(tmp_path):
        assert sorted(command.history(tmp_path, run, "train/loss")) == list(range(1, EPOCHS + 1))
    assert not list((tmp_path / "mlruns" / "checkpoints").iterdir())


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
    moments.kill_at(moments.RECORDS_ARE_COMPLETE, root, *grid)
    alone = "hydra.launcher.max_members=1"  # so that one of two is sent
    moments.kill_at(moments.RECORDS_ARE_REMOVED, root, *grid, alone, "resume=last")
    done = command.train(root, *grid, "resume=last")
    assert (done.code, done.stderr) == (0, "")
    plan, killed, headline, *lines = done.stdout.splitlines()
    assert plan == "1 finished, 1 to run, 1 of them from a checkpoint"
    assert killed == sweeps.killed(1)
    assert headline.startswith(("run 1 of 2 goes on: ", "run 2 of 2 goes on: "))
    epochs = [line.split()[1] for line in lines if line.startswith("epoch ")]
    assert epochs == ["9/10", "10/10"]
    sweeps.check_whole(root, 2)


def fit_many_classes(folder: Path, start: Checkpoint | None) -> Evaluation:
    trainer = TrainerConfig("cpu", max_epochs=5, evaluate_every=4, checkpoint_every_epochs=1)
    config = replace(learning(300), trainer=trainer)
    evaluation = Evaluation(1)
    keep = KeepCheckpoints(folder, ["only"], start, trainer, evaluation)
    make_trainer(trainer, [evaluation, keep]).fit(GroupModule([config], one_of_each(300)))
    return evaluation


@pytest.mark.filterwarnings(r"ignore:`isinstance\(treespec, LeafSpec\)` is deprecated")
def test_a_checkpoint_holds_predictions_of_more_than_256_classes(tmp_path: Path):
    whole = fit_many_classes(tmp_path / "whole", start=None)
    kept = load_newest(tmp_path / "whole")
    assert kept is not None
    assert kept.tensors["test_predictions"].tolist() == [list(range(300))]
    resumed = fit_many_classes(tmp_path / "resumed", start=kept)
    assert resumed.test_predictions.tolist() == whole.test_predictions.tolist()
    assert resumed.epochs == whole.epochs
