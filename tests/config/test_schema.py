from __future__ import annotations

import ast
from dataclasses import is_dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, get_type_hints

import pytest
from hydra import compose, initialize_config_dir

from pipeline.config import schema
from pipeline.config.compose import register, to_config
from pipeline.config.explain import CONFIG_ERRORS, explain
from pipeline.config.options import conf_dir, options
from pipeline.config.registry import names

if TYPE_CHECKING:
    from pipeline.config.schema import Config


def configure(*overrides: str) -> Config:
    register()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return to_config(compose("config", list(overrides), return_hydra_config=True))


def error_of(*overrides: str) -> str:
    with pytest.raises(CONFIG_ERRORS) as caught:
        configure(*overrides)
    return explain(caught.value)


BAD = [
    # regularizer
    ("regularizer=l2 regularizer.strength=-1", "regularizer.strength=-1", "≥ 0"),
    ("regularizer=l1 regularizer.strength=nan", "regularizer.strength=nan", "≤ 1e+38"),
    ("regularizer=l2 regularizer.strength=inf", "regularizer.strength=inf", "≤ 1e+38"),
    ("regularizer.strength=0.1", "regularizer.strength=0.1", "Choose regularizer="),
    ("regularizer=elastic regularizer.l1_ratio=1.5", "regularizer.l1_ratio=1.5", "0 to 1"),
    ("regularizer=elastic regularizer.l1_ratio=-0.1", "regularizer.l1_ratio=-0.1", "0 to 1"),
    ("regularizer=elastic regularizer.l1_ratio=nan", "regularizer.l1_ratio=nan", "0 to 1"),
    ("regularizer=l2 regularizer.l1_ratio=0.5", "regularizer.l1_ratio=0.5", "elastic"),
    ("regularizer=l3", "regularizer=l3", ", ".join(names("regularizer"))),
    # dropout
    ("dropout=input dropout.p_keep=0", "dropout.p_keep=0", "0 < p_keep ≤ 1"),
    ("dropout=input dropout.p_keep=1.5", "dropout.p_keep=1.5", "0 < p_keep ≤ 1"),
    ("dropout=logits dropout.p_keep=nan", "dropout.p_keep=nan", "0 < p_keep ≤ 1"),
    ("dropout=input dropout.p_keep=-0.5", "dropout.p_keep=-0.5", "0 < p_keep ≤ 1"),
    ("dropout=both model=mlp dropout.p_keep_input=0", "dropout.p_keep_input=0", "≤ 1"),
    ("dropout=both model=mlp dropout.p_keep_hidden=2", "dropout.p_keep_hidden=2", "≤ 1"),
    ("dropout=both model=mlp dropout.p_keep=0.5", "dropout.p_keep=0.5", "p_keep_hidden"),
    ("dropout.p_keep=0.5", "dropout.p_keep=0.5", "dropout=input"),
    ("dropout=input dropout.p_keep_hidden=0.5", "dropout.p_keep_hidden=0.5", "dropout=both"),
    ("dropout=input dropout.phase=evaluate", "dropout.phase=evaluate", "train, test, always"),
    ("dropout=hidden", "dropout=hidden", "model.hidden=[]", "model=mlp"),
    ("dropout=both", "dropout=both", "model.hidden=[]", "model=mlp"),
    ("dropout=al", "dropout=al", "both, hidden, input, logits, none"),
    # optimizer
    ("optimizer.lr=0", "optimizer.lr=0", "> 0"),
    ("optimizer.lr=-1", "optimizer.lr=-1", "> 0"),
    ("optimizer.lr=inf", "optimizer.lr=inf", "≤ 1e+38"),
    ("optimizer.lr=1e300", "optimizer.lr=1e+300", "≤ 1e+38"),
    ("optimizer=adam optimizer.lr=1e31", "optimizer.lr=1e+31", "≤ 1e+30"),
    ("optimizer.lr=nan", "optimizer.lr=nan", "≤ 1e+38"),
    ("optimizer.lr=fast", "optimizer.lr=fast", "a number"),
    ("optimizer.lr=null", "optimizer.lr=null", "a number"),
    ("optimizer.weight_decay=-1", "optimizer.weight_decay=-1", "≥ 0"),
    ("optimizer.weight_decay=1e39", "optimizer.weight_decay=1e+39", "≤ 1e+38"),
    ("optimizer.momentum=0.9", "optimizer.momentum=0.9", "optimizer=momentum"),
    ("optimizer=nesterov optimizer.momentum=1", "optimizer.momentum=1", "momentum < 1"),
    ("optimizer=adam optimizer.betas=[0.9]", "optimizer.betas=[0.9]", "two numbers"),
    ("optimizer=adamw optimizer.betas=[0.9,1]", "optimizer.betas=[0.9, 1.0]", "β < 1"),
    ("optimizer=adam optimizer.betas=0.9", "optimizer.betas=0.9", "a list"),
    ("optimizer=adam optimizer.eps=0", "optimizer.eps=0", "> 0"),
    ("optimizer.eps=1e-8", "optimizer.eps=1e-08", "optimizer=adam"),
    ("optimizer=rmsprop optimizer.alpha=1", "optimizer.alpha=1", "α < 1"),
    ("optimizer=rmsprop optimizer.alpha=null", "optimizer.alpha=None", "α < 1"),
    ("optimizer=rmsprop optimizer.momentum=-1", "optimizer.momentum=-1", "momentum < 1"),
    ("optimizer=rmsprop optimizer.eps=0", "optimizer.eps=0", "> 0"),
    ("optimizer=adam optimizer.alpha=0.9", "optimizer.alpha=0.9", "optimizer=rmsprop"),
    ("optimizer.clip_norm=0", "optimizer.clip_norm=0", "> 0", "or null"),
    ("optimizer.clip_norm=inf", "optimizer.clip_norm=inf", "or null"),
    (
        "optimizer=sdg",
        "optimizer=sdg",
        "adam, adamw, momentum, nesterov, rmsprop, sgd",
        "Did you mean sgd?",
    ),
    # schedule
    ("schedule=linear", "schedule=linear", "constant, cosine, exponential, step"),
    ("schedule.warmup_epochs=-1", "schedule.warmup_epochs=-1", "≥ 0"),
    ("schedule.warmup_epochs=inf", "schedule.warmup_epochs=inf", "epochs ≥ 0"),
    ("schedule.warmup_epochs=5", "schedule.warmup_epochs=5", "trainer.max_epochs=5"),
    ("schedule=step schedule.gamma=0", "schedule.gamma=0", "0 < γ ≤ 1"),
    ("schedule=exponential schedule.gamma=1.1", "schedule.gamma=1.1", "0 < γ ≤ 1"),
    ("schedule=exponential schedule.gamma=null", "schedule.gamma=None", "0 < γ ≤ 1"),
    ("schedule.gamma=0.5", "schedule.gamma=0.5", "schedule=step or exponential"),
    ("schedule=step schedule.every_epochs=0", "schedule.every_epochs=0", "≥ 1"),
    ("schedule=cosine schedule.every_epochs=2", "schedule.every_epochs=2", "schedule=step"),
    ("schedule=cosine schedule.end_factor=1.5", "schedule.end_factor=1.5", "0 to 1"),
    ("schedule=step schedule.end_factor=0.5", "schedule.end_factor=0.5", "schedule=cosine"),
    # model
    ("model.hidden=[0]", "model.hidden=[0]", "> 0"),
    ("model.hidden=[30,-1]", "model.hidden=[30, -1]", "> 0"),
    ("model.hidden=30", "model.hidden=30", "model.hidden=[30]"),
    ("model.hidden=[1.5]", "model.hidden[0]=1.5", "a whole number"),
    ("model.hidden=null", "model.hidden=null", "a list"),
    (
        "model.activation=relux",
        "model.activation=relux",
        ", ".join(names("activation")),
        "Did you mean relu?",
    ),
    ("model.output=linear", "model.output=linear", "softmax, sigmoid"),
    ("model.init=ones", "model.init=ones", "xavier, he, orthogonal, uniform"),
    ("model.init_std=0", "model.init_std=0", "> 0"),
    ("model=resnet", "model=resnet", "mlp, sgd_network, softmax"),
    # loss
    ("loss=foo", "loss=foo", ", ".join(names("loss"))),
    ("loss=mes", "loss=mes", "Did you mean mse?"),
    ("loss.name=foo", "loss.name=foo", ", ".join(names("loss"))),
    ("loss.reduction=median", "loss.reduction=median", "mean, sum"),
    ("loss=nll loss.reduction=sum", "loss.reduction=sum", "loss=ce"),
    ("loss=nll model.output=sigmoid", "loss=nll", "model.output=sigmoid", "loss=ce"),
    ("loss=focal loss.reduction=sum", "loss.reduction=sum", "focal has one term", "loss=ce"),
    ("loss=focal model.output=sigmoid", "loss=focal", "model.output=sigmoid", "loss=ce"),
    ("loss=focal loss.gamma=-1", "loss.gamma=-1", "≥ 0"),
    ("loss=focal loss.gamma=null", "loss.gamma=None", "≥ 0"),
    ("loss=nll loss.gamma=2", "loss.gamma=2", "loss=focal"),
    ("loss.label_smoothing=1", "loss.label_smoothing=1", "0 ≤ ε < 1"),
    ("loss=ce loss.label_smoothing=-0.1", "loss.label_smoothing=-0.1", "0 ≤ ε < 1"),
    ("loss=ce loss.label_smoothing=nan", "loss.label_smoothing=nan", "0 ≤ ε < 1"),
    ("loss=mse loss.label_smoothing=0.1", "loss.label_smoothing=0.1", "loss=nll or ce"),
    ("loss=mse,ce", "loss=mse,ce", "-m"),
    ("loss=[mse,ce]", "loss: must be exactly one of " + ", ".join(names("loss")), "sweep"),
    # data
    ("data.batch_size=0", "data.batch_size=0", "1 to data.num_train=55000"),
    ("data.batch_size=55001", "data.batch_size=55001", "1 to data.num_train=55000"),
    ("data.batch_size=1.5", "data.batch_size=1.5", "a whole number"),
    ("data=digits data.num_train=1", "data.batch_size=20", "data.num_train=1"),
    ("data.num_train=0", "data.num_train=0", "≥ 1"),
    ("data.num_val=-1", "data.num_val=-1", "≥ 0"),
    ("data=imagenet", "data=imagenet", ", ".join(options("data"))),
    # trainer
    ("trainer=tpu", "trainer=tpu", "auto, cpu, gpu"),
    ("trainer.accelerator=tpu", "trainer.accelerator=tpu", "cpu, gpu, auto"),
    ("trainer.max_epochs=0", "trainer.max_epochs=0", "≥ 1"),
    ("trainer.max_steps=0", "trainer.max_steps=0", "≥ 1, or null"),
    ("trainer.evaluate_every=0", "trainer.evaluate_every=0", "≥ 1"),
    ("trainer.evaluate_every=1.5", "trainer.evaluate_every=1.5", "a whole number"),
    ("trainer.patience=0", "trainer.patience=0", "≥ 1"),
    ("trainer.precision=half", "trainer.precision=half", "float32, float64, bf16, tf32"),
    ("trainer.deterministic=maybe", "trainer.deterministic=maybe", "true or false"),
    (
        "trainer.early_stopping=true data.num_val=0",
        "trainer.early_stopping=true",
        "data.num_val=0",
    ),
    # attack
    ("attack=fgsm attack.epsilon=-0.1", "attack.epsilon=-0.1", "from 0 to 1"),
    ("attack=fgsm attack.epsilon=1.1", "attack.epsilon=1.1", "from 0 to 1"),
    ("attack=fgsm attack.epsilon=nan", "attack.epsilon=nan", "from 0 to 1"),
    ("attack=fgsm attack.epsilon=null", "attack.epsilon=None", "from 0 to 1", "Try 0.25."),
    ("attack.epsilon=0.25", "attack.epsilon=0.25", "Choose attack=fgsm."),
    ("attack=fgms", "attack=fgms", "fgsm, none", "Did you mean fgsm?"),
    ("attack.name=pgd", "attack.name=pgd", "fgsm, none"),
    # tracking
    ("tracking.uri=nonsense", "tracking.uri=nonsense", "http://host:port"),
    ("tracking.uri=http://", "tracking.uri=http://", "http://host:port"),
    ("tracking.uri=ftp://host", "tracking.uri=ftp://host", "http://host:port"),
    ("tracking.uri=http://host:port", "tracking.uri=http://host:port", "http://host:port"),
    ("tracking.experiment_name=''", "tracking.experiment_name=''", "a name"),
    ("tracking=foo", "tracking=foo", "local, server"),
    # seed and keys
    ("seed=-1", "seed=-1", "≥ 0"),
    ("seed=1.5", "seed=1.5", "a whole number"),
    ("seed=1,2", "seed=1,2", "-m"),
    ("seeed=1", "seeed", "no such key", "Did you mean seed?"),
    ("los=mse", "los", "no such key", "Did you mean loss?"),
    ("lr=1", "lr", "no such key", "Did you mean optimizer.lr?"),
    ("optimizer.lrr=1", "optimizer.lrr", "no such key", "Did you mean lr?"),
    ("+optimizer.lrr=1", "optimizer.lrr", "no such key", "Did you mean lr?"),
    ("+model.depth=3", "model.depth", "no such key", "hidden, activation"),
    ("+foo=3", "foo", "no such key", "seed, loss"),
    ("experiment=foo", "experiment=foo", "sgd_network"),
    ("experimnet=sgd_network", "experimnet", "Did you mean experiment?"),
    ("epochs=3", "epochs: there is no such key", "Did you mean trainer.max_epochs?"),
    ("learning_rate=0.1", "learning_rate: ", "Did you mean optimizer.lr?"),
    ("alpha=0.1", "alpha: ", "Did you mean optimizer.alpha or regularizer.strength?"),
    ("hydra/launcher=slrum", "must be one of basic, fused,", "Did you mean slurm?"),
    ("hydra/launcher=fusde", "basic, fused, joblib, ray, slurm.", "Did you mean fused?"),
    ("hydra.launcher.num_workers=two", "hydra.launcher.num_workers=two: ", "--cfg hydra"),
    ("nonsense", "nonsense", "="),
    ("optimizer.lr=[", "optimizer.lr=["),
]


@pytest.mark.parametrize(
    ("overrides", "parts"), [(case[0], case[1:]) for case in BAD], ids=[case[0] for case in BAD]
)
def test_an_error_names_the_key_the_value_and_what_is_allowed(
    overrides: str, parts: tuple[str, ...]
):
    message = error_of(*overrides.split())
    for part in parts:
        assert part in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "uri", ["nonsense://user:hunter2@host", "http://user:hunter2@", "user:hunter2@host/x"]
)
def test_an_error_does_not_show_the_password(uri: str):
    message = error_of(f"tracking.uri={uri}")
    assert "tracking.uri=" in message
    assert "hunter2" not in message


GOOD = [
    ("", "seed", 0),
    ("seed=0", "seed", 0),
    ("seed=9223372036854775807", "seed", 2**63 - 1),
    ("regularizer=l2 regularizer.strength=0", "regularizer.strength", 0.0),
    ("regularizer=elastic regularizer.l1_ratio=0", "regularizer.l1_ratio", 0.0),
    ("regularizer=elastic regularizer.l1_ratio=1", "regularizer.l1_ratio", 1.0),
    ("dropout=input dropout.p_keep=1", "dropout.p_keep", 1.0),
    ("dropout=logits dropout.p_keep=1e-6", "dropout.p_keep", 1e-6),
    ("dropout=hidden model.hidden=[1]", "model.hidden", [1]),
    ("dropout=both model=mlp dropout.p_keep_hidden=1", "dropout.p_keep_hidden", 1.0),
    ("optimizer=momentum optimizer.momentum=0", "optimizer.momentum", 0.0),
    ("optimizer=adam optimizer.betas=[0,0.999]", "optimizer.betas", [0.0, 0.999]),
    ("optimizer.lr=3", "optimizer.lr", 3.0),
    ("schedule.warmup_epochs=4.9", "schedule.warmup_epochs", 4.9),
    ("schedule=step schedule.gamma=1", "schedule.gamma", 1.0),
    ("schedule=cosine schedule.end_factor=1", "schedule.end_factor", 1.0),
    ("model.hidden=[]", "model.hidden", []),
    ("model.hidden=[100,30]", "model.hidden", [100, 30]),
    ("loss.label_smoothing=0.99", "loss.label_smoothing", 0.99),
    ("loss=focal loss.gamma=0", "loss.gamma", 0.0),
    ("optimizer=rmsprop optimizer.alpha=0", "optimizer.alpha", 0.0),
    ("optimizer.clip_norm=1e-9", "optimizer.clip_norm", 1e-9),
    ("optimizer.clip_norm=null", "optimizer.clip_norm", None),
    ("loss=ce model.output=sigmoid", "model.output", "sigmoid"),
    ("loss=ce loss.reduction=sum", "loss.reduction", "sum"),
    ("data.batch_size=55000", "data.batch_size", 55_000),
    ("data.batch_size=1", "data.batch_size", 1),
    ("data.num_val=0", "data.num_val", 0),
    ("data.num_train=60000 data.num_val=0", "data.num_train", 60_000),
    ("data=digits data.num_train=1 data.batch_size=1", "data.num_train", 1),
    ("trainer.precision=bf16", "trainer.precision", "bf16"),
    ("trainer.max_steps=1", "trainer.max_steps", 1),
    ("trainer.evaluate_every=9", "trainer.evaluate_every", 9),
    ("trainer.max_epochs=1", "trainer.max_epochs", 1),
    ("attack=fgsm", "attack.epsilon", 0.25),
    ("attack=fgsm attack.epsilon=0", "attack.epsilon", 0.0),
    ("attack=fgsm attack.epsilon=1", "attack.epsilon", 1.0),
    ("tracking.uri=https://mlflow.example.org", "tracking.uri", "https://mlflow.example.org"),
    ("tracking.uri=sqlite:////folder/mlflow.db", "tracking.uri", "sqlite:////folder/mlflow.db"),
    ("tracking.uri=null", "tracking.uri", None),
    ("+tracking.tags.who=me", "tracking.tags", {"who": "me"}),
]


@pytest.mark.parametrize(("overrides", "key", "value"), GOOD, ids=[case[0] for case in GOOD])
def test_values_on_the_border_are_taken(overrides: str, key: str, value: object):
    node: object = configure(*overrides.split())
    for name in key.split("."):
        node = getattr(node, name)
    assert node == value


def test_the_default_is_the_problem_sets_protocol():
    config = configure()
    assert (config.loss.name, config.model.output, config.model.hidden) == ("nll", "softmax", [])
    assert (config.optimizer.name, config.optimizer.lr) == ("sgd", 0.5)
    assert (config.data.name, config.data.batch_size) == ("mnist", 100)
    assert (config.data.num_train, config.data.num_val) == (55_000, 5_000)
    assert config.trainer.max_epochs == 5


def test_paths_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    config = configure("root=here", "data.root=there")
    assert (config.root, config.data.root) == (str(tmp_path / "here"), str(tmp_path / "there"))


def test_a_tilde_in_a_path_is_the_users_home():
    assert configure("root='~/runs'").root == str(Path.home() / "runs")


def test_data_lie_below_the_root_unless_told_otherwise(tmp_path: Path):
    assert configure(f"root={tmp_path}").data.root == str(tmp_path / "data" / "mnist")


def test_every_key_and_every_group_is_described():
    classes = {
        node.name: node
        for module in Path(schema.__path__[0]).glob("*.py")
        for node in ast.parse(module.read_text()).body
        if isinstance(node, ast.ClassDef)
    }
    described = {
        (owner.name, key.target.id)
        for owner in classes.values()
        for key, below in pairwise(owner.body)
        if isinstance(key, ast.AnnAssign) and isinstance(key.target, ast.Name)
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
    }
    groups = {key for key, kind in get_type_hints(schema.Config).items() if is_dataclass(kind)}
    assert len(groups) == 11
    for name in [name for name in schema.__all__ if name.endswith("Config")]:
        assert ast.get_docstring(classes[name])
        keys = {(name, key) for key in get_type_hints(getattr(schema, name)) if key not in groups}
        assert keys - described == set()
