from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest
import yaml

from pipeline.config.compose import configure
from pipeline.config.options import options
from pipeline.config.schema import Config, LossConfig, ModelConfig, OptimizerConfig, TrackingConfig
from pipeline.errors import UserError
from pipeline.tracking import provenance
from pipeline.tracking.provenance import (
    config_hash,
    data_config,
    origin_tags,
    params,
    plain,
    run_name,
)
from tests import command

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

OTHER_RESULTS: dict[str, Callable[[Config], None]] = {
    "seed": lambda config: setattr(config, "seed", 1),
    "loss.name": lambda config: setattr(config.loss, "name", "ce"),
    "regularizer.strength": lambda config: setattr(config.regularizer, "strength", 0.1),
    "dropout.p_keep": lambda config: setattr(config.dropout, "p_keep", 0.5),
    "optimizer.lr": lambda config: setattr(config.optimizer, "lr", 0.1),
    "model.hidden": lambda config: setattr(config.model, "hidden", [30]),
    "data.name": lambda config: setattr(config.data, "name", "digits"),
    "data.num_train": lambda config: setattr(config.data, "num_train", 100),
    "trainer.max_epochs": lambda config: setattr(config.trainer, "max_epochs", 6),
    "trainer.precision": lambda config: setattr(config.trainer, "precision", "float64"),
    "attack.name": lambda config: setattr(config.attack, "name", "fgsm"),
    "attack.epsilon": lambda config: setattr(config.attack, "epsilon", 0.1),
}

SAME_RESULTS: dict[str, Callable[[Config], None]] = {
    "root": lambda config: setattr(config, "root", "/elsewhere"),
    "data.root": lambda config: setattr(config.data, "root", "/elsewhere"),
    "data.download": lambda config: setattr(config.data, "download", False),
    "trainer.accelerator": lambda config: setattr(config.trainer, "accelerator", "cpu"),
    "tracking.uri": lambda config: setattr(config.tracking, "uri", "http://host"),
    "tracking.tags": lambda config: setattr(config.tracking, "tags", {"who": "me"}),
}


@pytest.mark.parametrize("key", OTHER_RESULTS)
def test_what_can_change_the_results_changes_the_hash(key: str):
    config = Config()
    OTHER_RESULTS[key](config)
    assert config_hash(config) != config_hash(Config())


@pytest.mark.parametrize("key", SAME_RESULTS)
def test_what_cannot_change_the_results_leaves_the_hash(key: str):
    config = Config()
    SAME_RESULTS[key](config)
    assert config_hash(config) == config_hash(Config())


def test_a_flat_config_has_the_keys_that_people_type_and_only_those_that_are_set():
    flat = plain(Config(model=ModelConfig(hidden=[30])))
    assert flat["seed"] == 0
    assert flat["model.hidden"] == [30]
    assert "dropout.p_keep" not in flat


@pytest.mark.parametrize(
    ("lr", "text"), [(0.5, "0.5"), (3.0, "3"), (1e-4, "0.0001"), (1e-5, "1e-05"), (10.0, "10")]
)
def test_params_write_a_number_in_one_way_however_it_was_typed(lr: float, text: str):
    assert params(Config(optimizer=OptimizerConfig(lr=lr)))["optimizer.lr"] == text


def test_params_write_booleans_as_yaml_does():
    assert params(Config())["data.download"] == "true"


def test_params_leave_out_where_things_lie():
    config = Config(root="/somewhere", tracking=TrackingConfig(tags={"who": "me"}))
    assert [key for key in params(config) if key.startswith(("root", "tracking"))] == []


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        ([], "defaults"),
        (["loss=ce", "seed=3"], "loss=ce seed=3"),
        (["root=/x", "data.root=/y", "tracking.uri=http://host", "hydra.verbose=true"], "defaults"),
        (["+tracking.tags.who=me", "loss=ce"], "loss=ce"),
        (["seed=" + "1" * 300], "seed=" + "1" * 195),
    ],
)
def test_a_run_is_called_by_what_was_chosen(overrides: list[str], name: str):
    assert run_name(overrides) == name


def test_a_run_of_a_sweep_is_called_by_what_sets_it_apart():
    overrides = ["data=digits", "loss=ce", "trainer=cpu", "seed=3"]
    assert run_name(overrides, {"data=digits", "trainer=cpu"}) == "loss=ce seed=3"
    assert run_name(overrides, set(overrides)) == "data=digits loss=ce trainer=cpu seed=3"


def test_provenance_of_nothing_typed_is_a_list_too():
    said = yaml.safe_load(provenance.provenance([], "cpu"))
    assert said["overrides"] == []
    assert said["environment"]["device"] == "cpu"


def test_provenance_keeps_no_password():
    typed = ["tracking.uri=http://ada:secret@host", "model.hidden=[100,30]"]
    said = yaml.safe_load(provenance.provenance(typed))
    assert said["overrides"] == ["tracking.uri=http://host", "model.hidden=[100,30]"]


@pytest.fixture
def copied_code(tmp_path: Path) -> Callable[[], str]:
    """The code hash of a copy of the package in a folder of its own, as it is then."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(command.CHECKOUT / "pipeline", tmp_path / "pipeline", ignore=ignored)

    def hash_of_copy() -> str:
        script = "from pipeline.tracking.provenance import code_hash; print(code_hash())"
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd=tmp_path,
            env=command.environment(PYTHONPATH=str(tmp_path)),
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    return hash_of_copy


def test_the_code_hash_changes_with_the_code_that_can_change_a_number(
    tmp_path: Path, copied_code: Callable[[], str]
):
    def change(name: str) -> None:
        with (tmp_path / "pipeline" / name).open("a") as file:
            file.write("# changed\n")

    before = copied_code()
    assert before == origin_tags()["code_hash"]
    for name in ("report/figures.py", "tools/ui.py", "sweep/sweep.py"):
        change(name)
    assert copied_code() == before
    for name in ("engine/losses.py", "data/tensors.py", "training/train.py"):
        change(name)
        now = copied_code()
        assert now != before
        before = now


def test_whatever_the_code_hash_is_of_is_there():
    package = command.CHECKOUT / "pipeline"
    assert [pattern for pattern in provenance.CODE if not list(package.glob(pattern))] == []


def test_configs_that_differ_never_share_a_hash():
    configs = [
        Config(seed=seed, loss=LossConfig(name=loss), optimizer=OptimizerConfig(lr=lr))
        for seed in (0, 1, 10)
        for loss in ("mse", "ce", "nll")
        for lr in (0.1, 1.0, 10.0)
    ]
    assert len({config_hash(config) for config in configs}) == len(configs)


DEFAULTS = {
    "seed": 0,
    "loss.name": "nll",
    "loss.reduction": "mean",
    "regularizer.name": "none",
    "regularizer.strength": 0.0,
    "dropout.name": "none",
    "dropout.phase": "train",
    "optimizer.name": "sgd",
    "optimizer.lr": 0.5,
    "optimizer.weight_decay": 0.0,
    "model.hidden": [],
    "model.activation": "sigmoid",
    "model.output": "softmax",
    "model.init": "normal",
    "model.init_std": 0.1,
    "data.name": "mnist",
    "data.batch_size": 100,
    "data.num_train": 55000,
    "data.num_val": 5000,
    "trainer.max_epochs": 5,
    "trainer.precision": "float32",
    "trainer.deterministic": False,
    "trainer.early_stopping": False,
    "trainer.patience": 3,
    "attack.name": "none",
}
"""What a run's identity leaves out: a changed value would give two different runs the same one."""


def test_the_defaults_that_an_identity_leaves_out_stay_as_they_are():
    now = plain(Config())
    assert {key: now[key] for key in DEFAULTS} == DEFAULTS


def test_a_key_that_is_added_later_leaves_earlier_runs_their_identity(
    monkeypatch: pytest.MonkeyPatch,
):
    @dataclass
    class LaterLoss(LossConfig):
        temperature: float = 0.0

    before = config_hash(Config(seed=1))
    provenance._defaults.cache_clear()
    monkeypatch.setattr(provenance, "Config", lambda: Config(loss=LaterLoss()))
    try:
        assert config_hash(Config(seed=1, loss=LaterLoss())) == before
        assert config_hash(Config(seed=1, loss=LaterLoss(temperature=0.1))) != before
    finally:
        provenance._defaults.cache_clear()


@pytest.mark.parametrize("name", options("data"))
def test_params_give_back_the_config_of_the_data(name: str):
    said = {
        "table": [
            'data.path="/own/My data, v2.csv"',
            'data.target="it\'s"',
            'data.drop=["a,b",1st]',
            "data.missing=drop",
            "data.split_column=part",
            "data.val_share=0",
        ],
        "arrays": ["data.path=/own.npz", "data.scale=none", "data.split_seed=7"],
        "images": ["data.path=/own", "data.image_size=[32,20]", "data.color=true"],
    }
    config = configure([f"data={name}", *said.get(name, []), "data.batch_size=7"])
    found = {"data.num_train": "100", "data.num_val": "20"}
    told = data_config(params(config) | found)
    assert told == replace(config.data, num_train=100, num_val=20)


def test_params_of_something_else_are_no_config_of_data():
    with pytest.raises(UserError, match="don't say what its data are"):
        data_config({"data.name": "digits", "data.batch_size": "many"})
