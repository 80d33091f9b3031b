"""Results in a notebook: runs as a DataFrame, weights as tensors that say what they read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

import pipeline
from pipeline.data.digits import read_digits
from pipeline.errors import UserError
from tests import command

NUM_EPOCHS = 3


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("load")
    epochs = f"trainer.max_epochs={NUM_EPOCHS}"
    done = command.train(root, "-m", "loss=mse,nll", "seed=range(0,2)", epochs)
    assert done.code == 0, done.stderr
    return root


def test_a_sweep_is_a_row_for_each_run_and_epoch(root: Path):
    frame = pipeline.load("last", root=root)
    assert len(frame) == 4 * NUM_EPOCHS
    assert {"loss.name", "seed", "epoch", "train/loss", "val/accuracy"} <= set(frame.columns)
    assert "optimizer.lr" not in frame.columns
    for run in command.children(root):
        rows = frame[frame["run_id"] == run.info.run_id]
        stored = command.history(root, run, "val/accuracy")
        assert dict(zip(rows["epoch"], rows["val/accuracy"], strict=True)) == stored
        assert set(rows["seed"]) == {int(run.data.params["seed"])}


def test_all_params_are_there_if_that_is_asked_for(root: Path):
    frame = pipeline.load(root=root, all_params=True)
    assert set(frame["optimizer.lr"]) == {0.5}


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_the_same_table_is_exported(root: Path, tmp_path: Path, suffix: str):
    file = tmp_path / f"out.{suffix}"
    done = command.run(root, "last", str(file), f"root={root}", module="pipeline.export")
    assert (done.code, done.stderr) == (0, "")
    assert f"{4 * NUM_EPOCHS} rows of 4 runs" in done.stdout
    read = pd.read_csv(file) if suffix == "csv" else pd.read_parquet(file)
    pd.testing.assert_frame_equal(read, pipeline.load(root=root), check_dtype=False)


def test_a_file_of_another_kind_is_refused(root: Path, tmp_path: Path):
    file = tmp_path / "out.xls"
    done = command.run(root, "last", str(file), f"root={root}", module="pipeline.export")
    assert (done.code, done.errors) == (1, [f"error: {file}: must end in .parquet or .csv."])


def test_weights_say_how_pixels_are_scaled_and_give_the_stored_accuracy(root: Path):
    for run in command.children(root):
        weights = pipeline.weights(run.info.run_id, root=root)
        (_, _, images, labels), _ = read_digits()
        inputs = weights.scaled(images)
        logits = inputs @ weights["layer1.weight"].T + weights["layer1.bias"]
        accuracy = (logits.argmax(1) == torch.tensor(labels)).float().mean().item()
        assert accuracy == pytest.approx(run.data.metrics["test/accuracy"])


def test_a_network_takes_raw_pixels_and_nothing_else(root: Path):
    network = pipeline.network("last", root=root)
    (_, _, images, _), _ = read_digits()
    raw = torch.tensor(images).to(torch.uint8)
    probabilities = network(raw)
    assert probabilities.shape == (len(images), 10)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(len(images)))
    with pytest.raises(UserError, match="must be raw pixels"):
        network(raw.float() / 16)
    with pytest.raises(UserError, match="64 for each example"):
        network(raw[:, :4])


def test_a_network_of_the_sweep_is_the_one_that_validation_chose(root: Path):
    best = max(
        (run for run in command.children(root) if run.data.params["loss.name"] == "nll"),
        key=lambda run: run.data.metrics["val/accuracy"],
    )
    chosen, named = (pipeline.weights(it, root=root) for it in ("last", best.info.run_id))
    torch.testing.assert_close(chosen["layer1.weight"], named["layer1.weight"])


def test_damaged_weights_are_refused(tmp_path: Path):
    assert command.train(tmp_path, "trainer.max_epochs=1").code == 0
    (run,) = command.runs(tmp_path)
    file = command.artifacts(run) / "weights.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(UserError, match="is damaged"):
        pipeline.weights(run.info.run_id, root=tmp_path)


def test_the_package_is_imported_without_what_only_notebooks_need():
    code = "import sys, pipeline; print({'torch', 'pandas', 'mlflow'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
