"""Values that suit a data set and an optimizer: when they count, and what comes after them."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode

from pipeline.config.compose import configure, register, to_config
from pipeline.config.composer import Composer, grid_jobs
from pipeline.config.options import options
from pipeline.errors import UserError
from tests import command

FASHION = "data=fashion_mnist"

USUAL = "# @package _global_\noptimizer: {lr: 0.3}\n"

MINE = """# @package _global_
data: {name: digits, num_train: 200, num_val: 100, batch_size: 20}
trainer: {max_epochs: 2}
"""
"""A data set that brings more than its own group's values."""


def test_every_file_is_named_after_a_data_set_and_an_optimizer():
    pairs = {f"{data}_{rule}" for data, rule in product(options("data"), options("optimizer"))}
    assert options("usual")
    assert set(options("usual")) <= pairs


@pytest.mark.parametrize(
    ("overrides", "lr"),
    [
        ("", 0.5),
        ("data=digits", 0.5),
        (FASHION, 0.15),
        (f"optimizer=sgd {FASHION}", 0.15),
        (f"{FASHION} optimizer=adam", 0.001),
        ("data=digits optimizer=adam", 0.02),
        (f"{FASHION} optimizer.lr=0.5", 0.5),
        (f"optimizer.lr=0.5 {FASHION}", 0.5),
        (f"{FASHION} experiment=sgd_network", 3.0),
        (f"{FASHION} experiment=nielsen", 0.5),
        (f"{FASHION} experiment=overfitting", 0.15),
        (f"{FASHION} experiment=sgd_network optimizer.lr=0.7", 0.7),
    ],
)
def test_usual_values_come_after_the_optimizers_and_before_the_users(overrides: str, lr: float):
    assert configure(overrides.split()).optimizer.lr == lr


def test_the_config_shows_them_as_plain_numbers(tmp_path: Path):
    shown = command.run(tmp_path, "--cfg", "job", FASHION).stdout
    assert "optimizer:\n  name: sgd\n  lr: 0.15\n" in shown


@pytest.mark.parametrize("typed", [[], ["optimizer.lr=0.3,0.4"], ["optimizer.weight_decay=0,0.1"]])
def test_each_run_of_a_sweep_has_those_of_its_own_choices(typed: list[str]):
    register()
    grid = ["data=digits,fashion_mnist", "optimizer=sgd,adam", *typed]
    with initialize_config_dir(str(command.CHECKOUT / "conf"), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        sweep = loader.load_configuration("config", grid, RunMode.MULTIRUN)
        composer = Composer(loader, sweep)
        jobs = grid_jobs(loader, sweep)
        checked = [composer.check(job) for job in jobs]
        assert checked == [to_config(loader.load_sweep_config(sweep, job)) for job in jobs]
    rates = {(it.data.name, it.optimizer.name, it.optimizer.lr) for it in checked}
    if "optimizer.lr=0.3,0.4" in typed:
        assert {lr for *_, lr in rates} == {0.3, 0.4}
    else:
        assert rates == {
            ("digits", "sgd", 0.5),
            ("digits", "adam", 0.02),
            ("fashion_mnist", "sgd", 0.15),
            ("fashion_mnist", "adam", 0.001),
        }


def test_a_data_set_of_ones_own_brings_its_own(tmp_path: Path):
    for name, text in {"data/mine": MINE, "usual/mine_sgd": USUAL}.items():
        path = tmp_path / "conf" / f"{name}.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(text)
    grid = ["data=mine,digits", "optimizer=sgd,momentum"]
    own = ["--config-dir", "conf", f"root={tmp_path}", "trainer=cpu"]
    done = command.run(tmp_path, "-m", *own, *grid)
    assert (done.code, done.stderr) == (0, "")
    keys = ("data.num_train", "optimizer.name", "optimizer.lr", "trainer.max_epochs")
    found = {tuple(run.data.params[key] for key in keys) for run in command.children(tmp_path)}
    assert found == {
        ("200", "sgd", "0.3", "2"),
        ("200", "momentum", "0.1", "2"),
        ("1242", "sgd", "0.5", "5"),
        ("1242", "momentum", "0.1", "5"),
    }
    shown = command.run(tmp_path, *own, "--cfg", "job", "data=mine", "trainer.max_epochs=3").stdout
    assert "  max_epochs: 3\n" in shown


@pytest.mark.parametrize("typed", ["usual=fashion_mnist_sgd", "usual=mine", "~usual"])
def test_nobody_chooses_them(tmp_path: Path, typed: str):
    done = command.run(tmp_path, typed, "dry_run=true")
    assert (done.code, done.stdout) == (1, "")
    assert done.stderr.startswith("error: usual: can't be chosen, it follows from data and opt")


def test_they_are_not_offered_as_a_choice(tmp_path: Path):
    told = command.run(tmp_path, "--help").stdout
    offered = command.run(tmp_path, "-sc", "query=bash", fresh=True, COMP_LINE="pipeline ").stdout
    assert f"data: {', '.join(options('data'))}" in told
    assert "data=" in offered.split()
    assert "usual" not in told + offered


@pytest.mark.parametrize("group", ["data", "optimizer"])
@pytest.mark.parametrize("form", ["~{}", "{}=[{}]"])
def test_a_choice_that_they_follow_from_must_be_one(group: str, form: str):
    several = ",".join(options(group)[:2])
    with pytest.raises(UserError, match=f"^{group}: must be exactly one of .*, sweep: -m"):
        configure([form.format(group, several)])
