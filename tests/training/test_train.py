from __future__ import annotations

import math
import os
import pty
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from safetensors.numpy import load_file

from pipeline.config.schema import TrackingConfig
from pipeline.tracking.store import open_store
from tests import command

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mlflow.entities import Run


@pytest.fixture(scope="module")
def study_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("study")


@pytest.fixture(scope="module")
def study(study_root: Path) -> Run:
    """A shipped experiment on the small data, in float64, which early stopping ends."""
    done = command.train(
        study_root,
        "experiment=sgd_network",
        *("data.num_train=1242", "data.num_val=200"),
        *("trainer.max_epochs=200", "trainer.early_stopping=true", "trainer.patience=1"),
        "trainer.precision=float64",
    )
    assert done.code == 0, done.stderr
    (only,) = command.runs(study_root)
    return only


def test_an_experiment_sets_what_it_is_about(study: Run):
    chosen = {"loss.name": "quadratic", "model.output": "sigmoid", "data.batch_size": "10"}
    assert chosen.items() <= study.data.params.items()
    assert study.data.params["data.name"] == "digits"


def test_early_stopping_ends_a_run_once_val_loss_has_not_improved(study: Run, study_root: Path):
    val_loss = command.history(study_root, study, "val/loss")
    last = max(val_loss)
    assert last < 200
    assert val_loss[last] >= min(val_loss.values())
    assert study.data.metrics["best/epoch"] == last - 1  # a patience of one epoch


def test_float64_is_kept_in_the_weights(study: Run):
    kept = load_file(command.artifacts(study) / "weights.safetensors")
    assert {array.dtype.name for array in kept.values()} == {"float64"}


@pytest.fixture(scope="module")
def terminal_output(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What a person sees who runs two epochs on a terminal 100 columns wide."""
    root = tmp_path_factory.mktemp("terminal")
    leader, follower = pty.openpty()
    arguments = ["data=digits", f"root={root}", "trainer.max_epochs=2"]
    with subprocess.Popen(
        [sys.executable, "-m", "pipeline", *arguments],
        cwd=root,
        env=command.environment(TERM="xterm", COLUMNS="100"),
        stdin=follower,
        stdout=follower,
        stderr=follower,
        start_new_session=True,
    ) as process:
        os.close(follower)
        try:
            return b"".join(_read_all(leader)).decode()
        finally:
            os.close(leader)
            command.end_group(process)


def _read_all(leader: int) -> Iterator[bytes]:
    while True:
        try:
            yield os.read(leader, 4096)
        except OSError:  # the command has ended
            return


def test_a_terminal_shows_a_bar_instead_of_lines(terminal_output: str):
    assert "━━" in terminal_output.partition("test accuracy")[0]
    assert re.search(r"epoch 2/2.*126/126", terminal_output)
    assert not re.search(r"^epoch 1/2 +train/loss", terminal_output, re.MULTILINE)


def test_a_terminal_shows_the_result_too(terminal_output: str):
    assert "run id" in terminal_output
    assert "python -m pipeline.ui" in terminal_output


def test_the_problem_sets_losses_reach_their_accuracies_on_mnist(tmp_path: Path, mnist_root: Path):
    done = command.run(
        tmp_path, "-m", "loss=mse,ce,nll", f"root={tmp_path}", f"data.root={mnist_root}"
    )
    assert (done.code, done.stderr) == (0, "")
    reached = [child.data.metrics["test/accuracy"] for child in command.children(tmp_path)]
    assert reached == pytest.approx([0.903, 0.916, 0.92], abs=0.015)


def test_epochs_that_are_not_evaluated_have_no_metrics_and_the_others_keep_their_numbers(
    tmp_path: Path,
):
    """1,242 examples in batches of 20 are 63 steps an epoch: the 250th is in the 4th epoch."""
    ending = ("trainer.max_epochs=9", "trainer.max_steps=250", "trainer.evaluate_every=3")
    done = command.train(tmp_path, *ending)
    assert (done.code, done.stderr) == (0, "")
    lines = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("epoch ")]
    assert lines == ["3/4", "4/4"]
    (run,) = command.runs(tmp_path)
    assert sorted(command.history(tmp_path, run, "test/accuracy")) == [3, 4]
    assert run.data.metrics["best/epoch"] in (3, 4)
    result = open_store(TrackingConfig(), tmp_path).result(run.info.run_id)
    accuracies = result.curves["test/accuracy"]
    assert [math.isnan(accuracy) for accuracy in accuracies] == [True, True, False, False]
