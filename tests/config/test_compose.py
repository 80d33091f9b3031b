from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import pytest
import torch
from hydra import compose, initialize_config_dir

from pipeline.config.compose import register, to_config
from pipeline.config.options import conf_dir, options
from pipeline.config.registry import names
from pipeline.config.schema.data import DataConfig
from pipeline.config.schema.dropout import PHASES
from pipeline.config.schema.loss import REDUCTIONS
from pipeline.config.schema.model import INITS, OUTPUTS
from pipeline.data.tensors import Data, load
from pipeline.engine.evaluation import Evaluation
from pipeline.engine.module import GroupModule
from pipeline.training.fit import make_trainer

if TYPE_CHECKING:
    from pipeline.config.schema import Config

GROUPS = (
    "loss",
    "regularizer",
    "dropout",
    "optimizer",
    "schedule",
    "model",
    "data",
    "trainer",
    "attack",
    "tracking",
)

NEEDED = {
    "dropout=hidden": ["model=mlp"],
    "dropout=both": ["model=mlp"],
    "model=sgd_network": ["loss=quadratic"],
    "data=table": ["data.path=some.csv", "data.target=species"],
    "data=arrays": ["data.path=some.npz"],
    "data=images": ["data.path=some"],
}
"""What else an option must be given with."""

SHIPPED = [
    f"{group}={option}" for group in GROUPS for option in options(group) if group != "data"
] + [f"data={option}" for option in options("data")]

SMALL = ["data.num_train=300", "data.num_val=100", "data.batch_size=20", "trainer.max_epochs=1"]


def configure(*overrides: str) -> Config:
    register()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return to_config(compose("config", overrides=list(overrides)))


@cache
def digits() -> Data:
    return load(DataConfig("digits", num_train=300, num_val=100, batch_size=1))


def fit(config: Config) -> GroupModule:
    module = GroupModule([config], digits())
    config.trainer.accelerator = "cpu"
    make_trainer(config.trainer, [Evaluation(1)]).fit(module)
    return module


def test_every_group_of_conf_is_walked_here():
    folders = {path.name for path in conf_dir().iterdir() if path.is_dir()}
    assert folders - {"hydra", "usual", "__pycache__"} == {*GROUPS, "experiment"}
    assert all(options(group) for group in GROUPS)


@pytest.mark.parametrize("chosen", SHIPPED)
def test_every_option_makes_a_network_that_trains(chosen: str):
    group, _, option = chosen.partition("=")
    config = configure(*SMALL, *NEEDED.get(chosen, []), chosen)
    assert getattr(getattr(config, group), "name", option) == option
    before = GroupModule([config], digits()).parameters_of(0).values()
    after = fit(config).parameters_of(0).values()
    assert all(p.isfinite().all() for p in after)
    assert any(not torch.equal(old, new) for old, new in zip(before, after, strict=True))


@pytest.mark.parametrize("option", options("experiment"))
def test_every_experiment_makes_a_network_that_trains(option: str):
    config = configure(f"experiment={option}", "data=digits", *SMALL)
    assert all(p.isfinite().all() for p in fit(config).parameters_of(0).values())


@pytest.mark.parametrize("option", options("experiment"))
def test_every_experiment_composes_as_shipped(option: str):
    shipped = configure(f"experiment={option}")
    assert shipped != configure()


CHOICES = {
    "model.activation": names("activation"),
    "model.init": INITS,
    "model.output": OUTPUTS,
    "dropout.phase": PHASES,
    "loss.reduction": REDUCTIONS,
}


@pytest.mark.parametrize("chosen", [f"{key}={name}" for key in CHOICES for name in CHOICES[key]])
def test_every_named_choice_has_code(chosen: str):
    config = configure(*SMALL, "model=mlp", "dropout=hidden", "loss=ce", chosen)
    assert fit(config).failures == {}
