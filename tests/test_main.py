from __future__ import annotations

import csv
import importlib
import importlib.metadata
import os
import re
import subprocess
import tomllib
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from matplotlib.image import imread
from safetensors.numpy import load_file

from tests import command

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mlflow.entities import Run
    from numpy.typing import NDArray

    from tests.command import Done

EPOCHS = 3
CHOSEN = ("regularizer=l2", f"trainer.max_epochs={EPOCHS}", "seed=3")

EPOCH_METRICS = {f"{split}/{what}" for split in ("val", "test") for what in ("loss", "accuracy")}


@pytest.fixture(scope="module")
def single_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("single")


@pytest.fixture(scope="module")
def single(single_root: Path) -> Done:
    """The plain command, as users start it."""
    typed = ("data=digits", "trainer=cpu", f"root={single_root}", *CHOSEN)
    return command.run(single_root, *typed, "regularizer.strength=1e-4", fresh=True)


@pytest.fixture(scope="module")
def run(single: Done, single_root: Path) -> Run:
    assert single.code == 0, single.stderr
    (only,) = command.runs(single_root)
    return only


def weights(run: Run) -> dict[str, NDArray[Any]]:
    return load_file(command.artifacts(run) / "weights.safetensors")


def bits(run: Run) -> bytes:
    return (command.artifacts(run) / "weights.safetensors").read_bytes()


def results(run: Run) -> dict[str, float]:
    return {key: value for key, value in run.data.metrics.items() if not key.startswith("time/")}


def is_figure(path: Path) -> bool:
    height, width = imread(path).shape[:2]
    return path.read_bytes().startswith(b"\x89PNG") and min(height, width) > 200


# Without a run: help and errors.


def best_of(times: int, attempt: Callable[[], Done], within_s: float) -> Done:
    """Repeat a command until it was quick enough: the machine may be busy with other things."""
    done = attempt()
    for _ in range(times - 1):
        if done.seconds < within_s:
            break
        done = attempt()
    assert done.seconds < within_s, done.stderr
    return done


@pytest.mark.parametrize("option", ["--help", "--cfg=job"])
def test_what_can_be_set_is_told_at_once(tmp_path: Path, option: str):
    done = best_of(5, partial(command.run, tmp_path, option, fresh=True), within_s=1.5)
    assert done.code == 0
    assert "p_keep" in done.stdout


@pytest.mark.parametrize("option", ["--help", "optimizer.lr=0", "root=/proc/nowhere"])
def test_nothing_heavy_is_imported_before_the_config_is_known_to_be_good(
    tmp_path: Path, option: str
):
    done = command.run(tmp_path, "data=digits", option, PYTHONPROFILEIMPORTTIME="1")
    imported = set(re.findall(r"\| +([\w.]+)$", done.stderr, re.MULTILINE))
    assert "hydra" in imported
    assert imported.isdisjoint({"torch", "pytorch_lightning", "mlflow", "matplotlib", "sklearn"})


@pytest.mark.parametrize(
    "overrides",
    [
        ("optimizer.lr=0",),
        ("loss=msee",),
        ("optimizer.lrr=1",),
        ("seed=1,2",),
        ("-m", "optimizer.lr=0.1,0"),
        ("-m", "loss=mse,foo"),
        ("-m", "model=softmax,mlp", "dropout=none,hidden"),
        ("seed=1,2", "+model.depth=3", "-m"),
        ("optimizer.lr=",),
        ("optimizer.lr=[",),
    ],
    ids=" ".join,
)
def test_a_config_error_is_one_line_and_leaves_nothing_behind(
    tmp_path: Path, overrides: tuple[str, ...]
):
    done = command.train(tmp_path, *overrides)
    assert (done.code, done.stdout) == (1, "")
    (line,) = done.errors
    assert line.startswith("error: ")
    assert list(tmp_path.iterdir()) == []


def test_the_console_script_is_the_command():
    project = tomllib.loads((command.CHECKOUT / "pyproject.toml").read_text())["project"]
    module, _, name = project["scripts"]["pipeline"].partition(":")
    from pipeline.__main__ import main

    assert getattr(importlib.import_module(module), name) is main


def test_an_experiment_of_ones_own_lies_in_a_folder_of_ones_own(tmp_path: Path):
    (tmp_path / "mine" / "experiment").mkdir(parents=True)
    (tmp_path / "mine" / "experiment" / "rates.yaml").write_text(
        "# @package _global_\n"
        "trainer: {max_epochs: 1}\n"
        "hydra: {sweeper: {params: {optimizer.lr: '0.1,1', seed: 'range(0,2)'}}}\n"
    )
    done = command.train(tmp_path, "-m", "--config-dir", "mine", "experiment=rates")
    assert (done.code, done.stderr) == (0, "")
    rates = [float(run.data.params["optimizer.lr"]) for run in command.children(tmp_path)]
    assert sorted(rates) == [0.1, 0.1, 1, 1]
    typed = command.parent(tmp_path).data.tags["command"]
    assert f"--config-dir {tmp_path / 'mine'} " in typed


# A single run.


def test_a_run_that_ends_well_complains_of_nothing(single: Done):
    assert (single.code, single.stderr) == (0, "")


def test_a_run_shows_a_line_per_epoch(single: Done):
    lines = [line for line in single.stdout.splitlines() if line.startswith("epoch ")]
    assert [line.split()[1] for line in lines] == ["1/3", "2/3", "3/3"]
    assert all("train/loss" in line and "test/accuracy" in line for line in lines)


def test_a_run_ends_with_its_result_its_id_and_the_way_to_the_ui(
    single: Done, run: Run, single_root: Path
):
    after = single.stdout.partition("3/3")[2]
    for part in (
        f"{run.data.metrics['test/accuracy']:.4f}",
        run.info.run_id[:8],
        "python -m pipeline.ui",
        str(single_root),
    ):
        assert part in after


def test_a_run_is_finished_in_the_default_experiment(run: Run, single_root: Path):
    experiment = command.client(single_root).get_experiment_by_name("mnist")
    assert experiment is not None
    assert (run.info.status, run.info.experiment_id) == ("FINISHED", experiment.experiment_id)
    assert experiment.artifact_location == str(single_root / "mlruns" / "mnist")


def test_params_carry_the_configs_keys_and_values(run: Run):
    expected = {
        "regularizer.strength": "0.0001",
        "seed": "3",
        "loss.name": "nll",
        "optimizer.lr": "0.5",
    }
    assert expected.items() <= run.data.params.items()


def test_each_epochs_metrics_have_steps_from_one(run: Run, single_root: Path):
    for key in EPOCH_METRICS | {"train/loss"}:
        assert list(command.history(single_root, run, key)) == [1, 2, 3]


def test_the_best_epoch_is_the_one_with_the_lowest_val_loss(run: Run, single_root: Path):
    val_loss = command.history(single_root, run, "val/loss")
    best = min(val_loss, key=lambda epoch: val_loss[epoch])
    assert run.data.metrics["best/epoch"] == best
    for key in EPOCH_METRICS:
        value = command.history(single_root, run, key)[best]
        assert run.data.metrics[f"best/{key.replace('/', '_')}"] == value


def test_a_run_has_at_most_fifteen_metrics(run: Run):
    assert len(run.data.metrics) <= 15


def test_tags_say_which_code_ran_where(run: Run):
    commit = subprocess.run(
        ["git", "-C", str(command.CHECKOUT), "rev-parse", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    tags = run.data.tags
    assert tags.get("git.commit", "") == commit  # none where the checkout is no repository
    assert all(
        re.fullmatch("[0-9a-f]{64}", tags[f"{of}_hash"]) for of in ("config", "code", "data")
    )
    assert tags["host"] == os.uname().nodename
    assert len(tags) <= 14, "tags are for queries; the rest goes into provenance.yaml"


def test_a_file_says_what_was_typed_and_what_it_ran_on(run: Run):
    said = yaml.safe_load((command.artifacts(run) / "provenance.yaml").read_text())
    assert {*CHOSEN, "regularizer.strength=1e-4"} <= set(said["overrides"])
    assert said["environment"]["device"] == "cpu"
    assert said["environment"]["cpus"] == os.cpu_count()
    for package in ("torch", "pytorch-lightning", "mlflow", "numpy"):
        assert said["environment"][package] == importlib.metadata.version(package)


def test_the_data_set_is_an_input_of_the_run(run: Run):
    assert run.inputs is not None
    (entry,) = run.inputs.dataset_inputs
    assert entry.dataset.name == "digits"
    assert run.data.tags["data_hash"].startswith(entry.dataset.digest)


def test_a_run_keeps_its_files(run: Run):
    assert {path.name for path in command.artifacts(run).iterdir()} == command.RUN_FILES


def test_the_kept_config_has_every_key(run: Run):
    config = yaml.safe_load((command.artifacts(run) / "config.yaml").read_text())
    assert config["regularizer"] == {"name": "l2", "strength": 0.0001, "l1_ratio": None}
    assert {"seed", "loss", "dropout", "model", "data", "trainer", "tracking"} <= set(config)


def test_the_kept_weights_are_those_of_the_network_and_say_how_inputs_are_scaled(run: Run):
    shapes = {name: array.shape for name, array in weights(run).items()}
    scaling = {"inputs.shift": (64,), "inputs.divisor": (64,)}
    assert shapes == {"layer1.weight": (10, 64), "layer1.bias": (10,)} | scaling


def test_the_kept_table_of_confusions_names_the_classes_and_counts_the_test_examples(run: Run):
    with (command.artifacts(run) / "confusion.csv").open(newline="") as file:
        (_, *classes), *rows = csv.reader(file)
    assert classes == [name for name, *_ in rows] == list("0123456789")
    counts = [[int(count) for count in row] for _, *row in rows]
    right = sum(row[number] for number, row in enumerate(counts))
    assert right / sum(map(sum, counts)) == pytest.approx(run.data.metrics["test/accuracy"])


@pytest.mark.parametrize("name", ["curves.png", "confusion.png"])
def test_the_kept_figures_are_figures(run: Run, name: str):
    assert is_figure(command.artifacts(run) / name)


# A sweep.


@pytest.fixture(scope="module")
def sweep_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sweep")


@pytest.fixture(scope="module")
def sweep(sweep_root: Path) -> Done:
    overrides = (*CHOSEN, "regularizer.strength=1e-4", "loss=mse,ce,nll", "-m")
    return command.train(sweep_root, *overrides)


@pytest.fixture(scope="module")
def children(sweep: Done, sweep_root: Path) -> list[Run]:
    assert sweep.code == 0, sweep.stderr
    return command.children(sweep_root)


def test_a_sweep_is_a_finished_parent_with_a_finished_child_per_run(
    children: list[Run], sweep_root: Path
):
    parent = command.parent(sweep_root)
    assert parent.info.status == "FINISHED"
    assert [child.info.status for child in children] == ["FINISHED"] * 3
    assert {child.data.tags["mlflow.parentRunId"] for child in children} == {parent.info.run_id}
    assert [child.data.params["loss.name"] for child in children] == ["mse", "ce", "nll"]


def test_a_sweep_ends_with_its_answer(sweep: Done, children: list[Run]):
    told = sweep.stdout.rpartition("epoch 3/3")[2]
    for child in children:
        shown = f"{100 * child.data.metrics['val/accuracy']:.2f}"
        name = child.data.params["loss.name"]
        (row,) = [line for line in told.splitlines() if line.startswith(f" {name} ")]
        assert shown in row
    assert "One seed a cell" in told
    assert "'seed=range(0,5)' resume=any" in told


def test_the_description_of_the_parent_is_the_answer(sweep_root: Path, children: list[Run]):
    parent = command.parent(sweep_root)
    note = parent.data.tags["mlflow.note.content"]
    assert "loss=mse,ce,nll" in note
    assert all(f"| {child.data.params['loss.name']} | 1 |" in note for child in children)
    assert parent.data.metrics["runs/finished"] == 3


def test_the_parent_keeps_the_results_as_a_table(children: list[Run], sweep_root: Path):
    with (command.artifacts(command.parent(sweep_root)) / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["run_id"] for row in rows] == [child.info.run_id for child in children]
    assert [row["loss.name"] for row in rows] == ["mse", "ce", "nll"]
    for row, child in zip(rows, children, strict=True):
        assert float(row["test/accuracy"]) == child.data.metrics["test/accuracy"]


@pytest.mark.usefixtures("children")
def test_the_parent_keeps_the_overrides_and_a_figure(sweep_root: Path):
    folder = command.artifacts(command.parent(sweep_root))
    said = yaml.safe_load((folder / "provenance.yaml").read_text())
    assert "loss=mse,ce,nll" in said["overrides"]
    assert is_figure(folder / "comparison.png")


def test_params_are_the_same_alone_and_in_a_sweep(run: Run, children: list[Run]):
    assert children[2].data.params == run.data.params | {
        "data.root": children[2].data.params["data.root"]
    }


def test_a_run_is_the_same_up_to_rounding_alone_and_in_a_fused_sweep(run: Run, children: list[Run]):
    twin = children[2]
    assert twin.data.tags["config_hash"] == run.data.tags["config_hash"]
    assert results(twin) == pytest.approx(results(run), rel=1e-5)
    for name, expected in weights(run).items():
        assert weights(twin)[name] == pytest.approx(expected, abs=1e-4)


def test_what_is_chosen_matters(children: list[Run]):
    assert len({bits(child) for child in children}) == 3
    assert len({child.data.tags["config_hash"] for child in children}) == 3


def test_the_seed_matters(tmp_path: Path, run: Run):
    assert command.train(tmp_path, *CHOSEN[:-1], "regularizer.strength=1e-4", "seed=4").code == 0
    assert bits(command.runs(tmp_path)[0]) != bits(run)


def test_the_same_config_and_seed_give_the_same_numbers_to_the_last_bit(tmp_path: Path, run: Run):
    assert command.train(tmp_path, *CHOSEN, "regularizer.strength=1e-4").code == 0
    (again,) = command.runs(tmp_path)
    assert results(again) == results(run)
    assert bits(again) == bits(run)
