"""Studies as files: what is read, what is refused, and what the project's own say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.errors import UserError
from pipeline.reproduce.__main__ import STUDIES
from pipeline.reproduce.answers import items_of
from pipeline.reproduce.study import FOLDER, Study, read_study
from tests.reproduce.hand_made import NAMES, OWN, shipped


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rates.yaml"


def read(path: Path, **entries: Any) -> Study:
    path.write_text(yaml.safe_dump(OWN | entries), "utf-8")
    return read_study(path)


def refusal(path: Path) -> str:
    """What is said of a file that can't be read as a study, without the file's name."""
    with pytest.raises(UserError) as raised:
        read_study(path)
    said = str(raised.value)
    assert said.startswith(f"{path}: ")
    assert "\n" not in said
    assert said.endswith((".", "?", "…"))
    return said.removeprefix(f"{path}: ")


def test_the_least_study_is_a_question_and_a_grid(path: Path):
    study = read(path)
    assert (study.title, study.question, study.source) == ("Rates", "Which rate?", "a paper")
    assert study.grids == {"rates": ["optimizer.lr=0.1,0.2,0.3"]}
    assert study.seeds == 20
    assert study.bands is None
    assert study.published == study.claims == study.figures == []


def test_everything_is_read_as_it_stands(path: Path):
    study = read(
        path,
        seeds=7,
        readings={"one": [], "other": ["model.init=zeros"]},
        published=[
            {"label": "a", "where": {"loss": "mse", "model.hidden": [100]}, "values": [0.5]},
            {"label": "b", "along": "optimizer.lr", "at": [0.1, 1], "values": [0.5, 1]},
            {"label": "c", "kind": "best", "of": 5, "epoch": 3, "values": [0.9]},
            {"label": "d", "kind": "curve", "metric": "train/loss", "values": [3, 2, 1.5]},
        ],
        claims=[
            {"says": "so", "all": [{"spread": {}, "exceeds": 0.1}, {"higher": {}, "lower": 1}]}
        ],
    )
    first, second, third, fourth = study.published
    assert first.cells() == [{"loss": "mse", "model.hidden": [100]}]
    assert second.cells() == [{"optimizer.lr": 0.1}, {"optimizer.lr": 1}]
    assert (third.kind, third.of, third.epoch) == ("best", 5, 3)
    assert fourth.cells() == [{}]
    assert study.metrics() == {"test/accuracy", "train/loss"}
    assert study.claims[0].cells() == [{}, {}]


PUBLISHED = {"label": "x", "values": [0.9]}
COMPARISON = {"higher": {"loss": "mse"}, "lower": {"loss": "nll"}}
FIGURE = {"title": "x"}
BANDS = {"title": "x", "gap": 0.1, "counted": "test/lost_classes", "counts": "digit lost"}


def published(**entries: Any) -> dict[str, Any]:
    return {"published": [PUBLISHED | entries]}


def claim(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"claims": [{"says": "x", "all": list(parts)}]}


@pytest.mark.parametrize(
    ("entries", "key", "wrong"),
    [
        ({"figurs": []}, "figurs", "there is no such key. Did you mean figures?"),
        ({"title": 1}, "title", "string"),
        ({"seeds": 0}, "seeds", "greater than or equal to 1"),
        ({"seeds": "many"}, "seeds", "integer"),
        ({"grids": {}}, "grids", "at least 1"),
        ({"grids": {"a": "loss=mse"}}, "grids.a", "list"),
        ({"readings": {"a": None}}, "readings.a", "list"),
        (published(valeus=[1]), "published[0].valeus", "Did you mean values?"),
        (published(values=[]), "published[0].values", "at least 1"),
        (published(values=[0.1, 0.2]), "published[0]", "2 values for 1 place"),
        (published(along="seed", at=[1, 2]), "published[0]", "1 values for 2 places"),
        (published(along="seed"), "published[0]", "1 values for 0 places"),
        (published(values=["many"]), "published[0].values[0]", "number"),
        (published(values=[True]), "published[0].values[0]", "number"),
        (published(values=[float("nan")]), "published[0].values[0]", "number"),
        (published(at=[0.1]), "published[0]", "along"),
        (published(kind="median"), "published[0].kind", "'single', 'mean', 'best', 'peak'"),
        (published(kind="mean"), "published[0]", "kind=mean: say of how many runs by `of`"),
        (published(kind="best"), "published[0]", "kind=best: say of how many runs by `of`"),
        (published(of=3), "published[0]", "of=3: a single is of one run"),
        (published(kind="curve", of=3), "published[0]", "of=3: a curve is of one run"),
        (published(kind="curve", along="seed", at=[1]), "published[0]", "not along a key"),
        (published(kind="mean", of=0), "published[0].of", "greater than or equal to 1"),
        (published(epoch=0), "published[0].epoch", "greater than or equal to 1"),
        (published(where={"loss": None}), "published[0].where.loss", ""),
        (published(where={"grid": "rate"}), "grid=rate", "Did you mean rates?"),
        (published(where={"reading": "a"}), "reading=a", "must be one of none"),
        (published(along="grid", at=["other"]), "grid=other", "must be one of rates"),
        ({"claims": [{"says": "x", "all": []}]}, "claims[0].all", "at least 1"),
        (claim({"higher": 1, "lower": 2}), "claims[0].all[0]", "must be a cell of runs"),
        (claim(COMPARISON | {"higher": {"grid": "b"}}), "grid=b", "must be one of rates"),
        (claim({"higher": {}}), "claims[0].all[0].lower", "is missing"),
        (claim(COMPARISON | {"bye": 1}), "claims[0].all[0].bye", "Did you mean by?"),
        (claim(COMPARISON | {"worth": {"epohc": 1}}), "all[0].worth.epohc", "Did you mean epoch?"),
        (claim(COMPARISON | {"worth": {"epoch": 0}}), "all[0].worth.epoch", "equal to 1"),
        (
            claim(COMPARISON | {"worth": {"less": "train/accuracy", "share_of_epoch": 5}}),
            "all[0].worth",
            "share_of_epoch",
        ),
        (claim({"spread": {}, "exceds": 0.01}), "claims[0].all[0].exceds", "Did you mean exceeds?"),
        (claim({"spread": {}, "exceeds": 0}), "claims[0].all[0].exceeds", "greater than 0"),
        ({"figures": [FIGURE | {"along": "optimizer.lr"}]}, "figures[0]", "along=optimizer.lr"),
        ({"figures": [FIGURE | {"x_scale": "log"}]}, "figures[0].x_scale", "'categories'"),
        ({"figures": [FIGURE | {"lines": {"a": {"grid": "b"}}}]}, "grid=b", "must be one of rates"),
        ({"bands": BANDS | {"gaps": 1}}, "bands.gaps", "Did you mean gap?"),
    ],
)  # fmt: skip
def test_a_bad_entry_is_named_with_what_is_wrong(
    entries: dict[str, Any], key: str, wrong: str, path: Path
):
    path.write_text(yaml.safe_dump(OWN | entries), "utf-8")
    said = refusal(path)
    assert key in said
    assert wrong in said.removeprefix(key)
    assert not re.search(r"function-after|Comparison|Spread|\.(int|float|bool)\b", said)


@pytest.mark.parametrize("key", ["title", "question", "source", "grids"])
def test_what_every_study_must_have_is_asked_for(key: str, path: Path):
    path.write_text(yaml.safe_dump({k: v for k, v in OWN.items() if k != key}), "utf-8")
    assert refusal(path) == f"{key} is missing."


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (b"", "must have the keys title, question, source, grids"),
        (b"- a\n- b\n", "must have the keys title, question, source, grids"),
        (b"only words", "must have the keys title, question, source, grids"),
        (b"title: [", "is no YAML file"),
        (b"title: \xff\xfe", "is no YAML file"),
    ],
    ids=["empty", "list", "words", "broken", "not UTF-8"],
)
def test_what_is_no_study_is_said_to_be_none(content: bytes, wrong: str, path: Path):
    path.write_bytes(content)
    assert wrong in refusal(path)


def test_a_file_that_cannot_be_opened_is_said_to_be_so(tmp_path: Path):
    assert "No such file" in refusal(tmp_path / "none.yaml")
    assert "Is a directory" in refusal(tmp_path)


def test_a_number_in_the_notation_that_yaml_takes_for_text_is_a_number(path: Path):
    """YAML 1.1 reads 1e-4 as text, without its dot; people and hydra read it as a number."""
    text = yaml.safe_dump(OWN)
    path.write_text(text + "published: [{label: x, where: {optimizer.lr: 1e-4}, values: [1e-2]}]")
    (entry,) = read_study(path).published
    assert entry.values == [0.01]
    assert entry.where == {"optimizer.lr": 0.0001}


def test_the_projects_own_studies_are_those_of_the_command():
    assert {path.stem for path in FOLDER.iterdir()} == set(STUDIES) > set(NAMES)
    for name in NAMES:
        assert shipped(name).question.endswith("?")


LOSSES = {
    "mse, train loss": [0.03163948, 0.022160674, 0.019042123, 0.017418016, 0.016385227],
    "mse, test accuracy": [0.842, 0.8791, 0.8932, 0.8989, 0.902],
    "ce, train loss": [0.07045822, 0.05945919, 0.05542801, 0.053181525, 0.051429845],
    "ce, test accuracy": [0.8878, 0.9056, 0.9083, 0.9139, 0.9167],
    "nll, train loss": [0.32885182, 0.31568593, 0.2954195, 0.2782145, 0.27890232],
    "nll, test accuracy": [0.9108, 0.9093, 0.9191, 0.9189, 0.9191],
}

STRENGTHS = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.1]

PENALTIES = {
    "l1": [0.9180, 0.9101, 0.8909, 0.8549, 0.1135, 0.1135],
    "l2": [0.9167, 0.9182, 0.9186, 0.9129, 0.9123, 0.8175],
}

DROPOUT = {0.2: 0.4825, 0.4: 0.7582, 0.5: 0.8225, 0.6: 0.8545, 0.8: 0.8945, 0.9: 0.9068}

RECOGNISED = [
    *(6714, 7372, 7622, 7660, 7661, 8193, 8330, 8357, 8374, 8371),
    *(8361, 8338, 8353, 8377, 8352, 8384, 8384, 8370, 8391, 8381),
    *(8384, 8392, 8359, 8384, 8375, 8391, 8373, 8378, 8342, 8385),
]  # fmt: skip
"""Of 10,000 images, after each epoch."""


def test_the_published_losses_are_those_of_the_text():
    items = items_of(shipped("losses"))
    assert {item.label: item.values for item in items} == LOSSES
    for item in items:
        loss, metric = item.label.split(", ")
        assert item.where == {"loss": loss}
        assert item.entry.metric == metric.replace(" ", "/")


def test_the_published_penalties_are_those_of_the_text():
    expected = {("l2", 0): 0.9177}
    for name, values in PENALTIES.items():
        expected |= {(name, at): value for at, value in zip(STRENGTHS, values, strict=True)}
    found = {
        (item.where["regularizer"], item.where["regularizer.strength"]): item.values[0]
        for item in items_of(shipped("penalties"))
    }
    assert found == expected


def test_the_published_dropout_is_that_of_the_text():
    items = items_of(shipped("dropout"))
    assert {item.where["dropout.p_keep"]: item.values[0] for item in items} == DROPOUT


def test_the_published_network_is_that_of_the_text():
    (item,) = items_of(shipped("sgd_network"))
    assert item.values == [recognised / 10_000 for recognised in RECOGNISED]
    assert item.where == {}
    assert item.entry.metric == "test/accuracy"


@pytest.mark.parametrize("name", NAMES)
def test_every_number_of_a_study_has_a_name_of_its_own(name: str):
    """What came of it is kept by that name."""
    study = shipped(name)
    labels = [item.label for item in items_of(study)] + [claim.says for claim in study.claims]
    assert len(set(labels)) == len(labels) > 0
