from __future__ import annotations

import random
import time
from collections.abc import Callable, Generator
from functools import partial
from itertools import product
from typing import TYPE_CHECKING

import pytest
from hydra import initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from pipeline.config.compose import register, to_config
from pipeline.config.composer import Composer
from pipeline.config.explain import CONFIG_ERRORS, explain
from pipeline.config.options import conf_dir
from pipeline.config.schema import Config

if TYPE_CHECKING:
    from collections.abc import Sequence

CHOICES = {
    "loss": ["mse", "ce", "nll"],
    "regularizer": ["none", "l1", "elastic"],
    "optimizer": ["sgd", "adam"],
    "model": ["softmax", "mlp"],
    "data": ["digits", "fashion_mnist"],
    "experiment": ["sgd_network"],
}

VALUES = {
    "seed": ["0", "7", "0x1f", "1_000"],
    "optimizer.lr": ["0.1", "1e-3", "1", "${seed}"],
    "optimizer.betas": ["[0.8,0.9]", "null"],
    "regularizer.strength": ["0", "0.01"],
    "model.hidden": ["[]", "[30]", "[20,10]"],
    "trainer.early_stopping": ["true", "off"],
    "tracking.experiment_name": ["plain", "'with, comma=x'", "a\\ b", "''", "${loss.name}"],
    "tracking.uri": ["null", "sqlite:////tmp/a.db"],
    "root": ["/tmp/x"],
}

OTHERS = [
    "+tracking.tags.why=because",
    "++tracking.tags.why=again",
    "+tracking.tags={a: b, c: d}",
    "+model.depth=3",
    "++seed=5",
    "+seed=5",
    "~seed",
    "~tracking.uri",
    "~loss",
    "model={hidden: [5], activation: tanh}",
    "+experiment=sgd_network",
    "hydra.job.config.override_dirname.exclude_keys=[seed]",
    "hydra.job.config.override_dirname.kv_sep=:",
    "hydra.job.env_set.A=${seed}",
    "hydra.sweep.subdir=${seed}/${hydra.job.override_dirname}",
    "hydra/launcher=fused",
    "hydra.overrides.task=[first]",
]

BAD = [
    ["seed=x"],
    ["seed=null"],
    ["seed=1,2"],
    ["seed="],
    ["seed=["],
    ["optimizer.lrr=1"],
    ["optimizer=1", "seed=2"],
    ["loss=msee", "seed=2"],
    ["optimizer.lr=[1]"],
    ["model.hidden=3"],
    ["model.hidden=[x]"],
    ["model.hidden={a: 1}"],
    ["loss.name.deeper=3"],
    ["trainer.early_stopping=perhaps", "seed=y"],
    ["tracking.tags.new=1"],
    ["seed@there=3"],
    ["nothing=3"],
    ["~seed", "seed=3"],
    ["seed=3", "~seed=4"],
    ["hydra.job.nme=3", "seed=x"],
]


def mixed_jobs(count: int) -> list[list[str]]:
    rng = random.Random(0)  # the jobs are the same every time
    jobs: list[list[str]] = []
    for _ in range(count):
        job = [f"{key}={rng.choice(CHOICES[key])}" for key in rng.sample(list(CHOICES), 2)]
        job += [f"{key}={rng.choice(VALUES[key])}" for key in rng.sample(list(VALUES), 4)]
        if rng.random() < 0.4:
            job += rng.sample(OTHERS, 2)
        rng.shuffle(job)
        jobs.append(job)
    return jobs


@pytest.fixture(scope="module")
def loader() -> Generator[ConfigLoader]:
    register()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        yield GlobalHydra.instance().config_loader()


@pytest.fixture(scope="module")
def sweep(loader: ConfigLoader) -> DictConfig:
    typed = ["data=digits", "seed=0,1", "hydra.mode=MULTIRUN", "hydra.job.chdir=false"]
    config = loader.load_configuration("config", typed, RunMode.MULTIRUN)
    assert config.hydra.sweep.dir  # from here on the sweep's time is fixed
    return config


def by_hydra(
    loader: ConfigLoader, sweep: DictConfig, job: Sequence[str]
) -> DictConfig | tuple[type, str]:
    try:
        return loader.load_sweep_config(sweep, list(job))
    except Exception as error:
        return type(error), str(error)


def by_us(composer: Composer, job: Sequence[str]) -> DictConfig | tuple[type, str]:
    try:
        return composer.compose(job)
    except Exception as error:
        return type(error), str(error)


def assert_same(ours: object, theirs: object):
    if isinstance(ours, DictConfig):
        assert isinstance(theirs, DictConfig)
        assert OmegaConf.to_yaml(ours) == OmegaConf.to_yaml(theirs)
        assert ours == theirs
        assert ours.hydra.sweep.dir == theirs.hydra.sweep.dir
        assert OmegaConf.is_struct(ours) == OmegaConf.is_struct(theirs)
        for key in map(str, theirs):
            assert OmegaConf.get_type(ours, key) == OmegaConf.get_type(theirs, key)
    else:
        assert ours == theirs


def test_mixed_jobs_are_composed_as_hydra_composes_them(loader: ConfigLoader, sweep: DictConfig):
    composer = Composer(loader, sweep)
    num_good = 0
    for job in mixed_jobs(100):
        ours = by_us(composer, job)
        assert_same(ours, by_hydra(loader, sweep, job))
        num_good += isinstance(ours, DictConfig)
    assert num_good > 50


@pytest.mark.parametrize("job", BAD, ids=" ".join)
def test_what_hydra_refuses_is_refused_in_the_same_words(
    loader: ConfigLoader, sweep: DictConfig, job: list[str]
):
    theirs = by_hydra(loader, sweep, job)
    assert not isinstance(theirs, DictConfig)
    assert by_us(Composer(loader, sweep), job) == theirs


def test_hydra_composes_once_per_set_of_choices(
    loader: ConfigLoader, sweep: DictConfig, monkeypatch: pytest.MonkeyPatch
):
    composed: list[list[str]] = []
    original = loader.load_sweep_config

    def counting(master: DictConfig, overrides: list[str]) -> DictConfig:
        composed.append(overrides)
        return original(master, overrides)

    monkeypatch.setattr(loader, "load_sweep_config", counting)
    composer = Composer(loader, sweep)
    tag = "+tracking.tags.a=b"
    for loss, lr, seed in product(("ce", "nll"), (0.1, 0.2, 0.3), range(3)):
        job = [f"loss={loss}", tag, f"optimizer.lr={lr}", f"seed={seed}", "model.hidden=[3]"]
        composer.check(job)
        composer.compose(job)
    assert composed == [["loss=ce", tag], ["loss=nll", tag]]


def test_every_caller_has_a_copy_of_its_own(loader: ConfigLoader, sweep: DictConfig):
    composer = Composer(loader, sweep)
    first, checked = composer.compose(["seed=3"]), composer.check(["seed=3"])
    first.seed = 4
    first.hydra.job.num = 8
    second = composer.compose(["seed=3"])
    assert (second.seed, checked.seed) == (3, 3)
    assert OmegaConf.is_missing(second.hydra.job, "num")


def test_a_kept_job_takes_the_sweeps_time_when_it_is_asked_for(loader: ConfigLoader):
    config = loader.load_configuration("config", ["hydra.mode=MULTIRUN"], RunMode.MULTIRUN)
    composer = Composer(loader, config)
    composer.check(["seed=3"])
    folder = config.hydra.sweep.dir
    time.sleep(0.001)
    job = composer.compose(["seed=3"])
    assert job.hydra.sweep.dir == folder


def checked(check: Callable[[], Config]) -> Config | tuple[type, str]:
    try:
        return check()
    except CONFIG_ERRORS as error:
        return type(error), explain(error)


def test_mixed_jobs_are_checked_as_if_hydra_had_composed_them(
    loader: ConfigLoader, sweep: DictConfig
):
    composer = Composer(loader, sweep)
    outcomes: list[Config | tuple[type, str]] = []
    for job in mixed_jobs(100):
        theirs = partial(loader.load_sweep_config, sweep, job)
        outcomes.append(checked(lambda compose=theirs: to_config(compose())))
        assert checked(partial(composer.check, job)) == outcomes[-1]
    num_good = sum(isinstance(outcome, Config) for outcome in outcomes)
    assert 15 < num_good < 85


def test_checked_jobs_are_those_of_hydra(loader: ConfigLoader, sweep: DictConfig):
    job = ["model=mlp", "dropout=hidden", "seed=3", "optimizer.lr=0.25"]
    theirs = loader.load_sweep_config(sweep, job)
    before = OmegaConf.to_yaml(theirs)
    assert Composer(loader, sweep).check(job) == to_config(theirs)
    assert OmegaConf.to_yaml(theirs) == before


def test_a_thousand_jobs_are_composed_and_checked_in_seconds(
    loader: ConfigLoader, sweep: DictConfig
):
    numbers = product(("mse", "ce", "nll"), (0.1, 0.2, 0.3, 0.4), ("l1", "l2"), range(42))
    jobs = [
        [f"loss={loss}", f"optimizer.lr={lr}", f"regularizer={penalty}", f"seed={seed}"]
        for loss, lr, penalty, seed in numbers
    ]
    assert len(jobs) == 1008
    composer = Composer(loader, sweep)
    started = time.process_time()
    for job in jobs:
        composer.check(job)
    assert time.process_time() - started < 10
