"""Verdicts that are kept, so that none changes unseen."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pipeline.reproduce.__main__ import STUDIES
from pipeline.reproduce.expectations import EXPECTATIONS, accept, changed, verdicts_of
from pipeline.reproduce.section import Section, read_section
from pipeline.theory.claim import Claim, Outcome
from tests import command
from tests.reproduce.hand_made import SLOW, config_of, make, noise, own, shipped
from tests.reproduce.hand_made import Outcome as Runs

STUDY = own(
    published=[{"label": "λ = 0", "where": SLOW, "values": [0.9]}],
    claims=[{"says": "slow is fine", "all": [{"higher": SLOW, "lower": 0.5}]}],
    readings={"one": [], "other": ["model.init=zeros"]},
).model_copy(update={"claims": []})

CLAIMING = own(
    published=[{"label": "λ = 0", "where": SLOW, "values": [0.9]}],
    claims=[{"says": "slow is fine", "all": [{"higher": SLOW, "lower": 0.5}]}],
)

PROOF = Claim("3.2", "a minimum", "", "", Outcome.HOLDS)


def near(accuracy: float) -> Runs:
    return lambda entry: accuracy + 0.0005 * noise(entry)


def section(outcome: Runs, num_seeds: int = 5) -> Section:
    return read_section(CLAIMING, make(CLAIMING, outcome, num_seeds=num_seeds))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """What came out once: an agreement, a claim that is supported, a proof that holds."""
    path = tmp_path / "expectations.yaml"
    accept(verdicts_of([section(near(0.9))], [PROOF]), path)
    return path


def test_every_verdict_is_written_down_as_people_read_it(path: Path):
    assert yaml.safe_load(path.read_text("utf-8")) == {
        "own": {"λ = 0": "agrees", "slow is fine": "supported"},
        "theory": {"3.2: a minimum": "holds"},
    }
    assert "λ = 0: agrees" in path.read_text("utf-8")
    assert path.read_text("utf-8").startswith("# ")
    assert "python -m pipeline.reproduce --accept" in path.read_text("utf-8")


def test_the_same_verdicts_are_no_news(path: Path):
    assert changed(verdicts_of([section(near(0.9001))], [PROOF]), path) == []


def test_every_verdict_that_changed_is_told_with_what_it_was(path: Path):
    fails = Claim("3.2", "a minimum", "", "", Outcome.FAILS)
    assert changed(verdicts_of([section(near(0.4))], [fails]), path) == [
        "own: λ = 0: differs, was agrees",
        "own: slow is fine: contradicted, was supported",
        "theory: 3.2: a minimum: fails, was holds",
    ]


def test_a_difference_that_has_become_an_agreement_is_told_too(path: Path):
    accept(verdicts_of([section(near(0.8))], []), path)
    found = changed(verdicts_of([section(near(0.9))], []), path)
    assert found == ["own: λ = 0: agrees, was differs"]


@pytest.mark.parametrize("num_seeds", [1, 2])
def test_too_few_seeds_and_missing_runs_are_no_change(num_seeds: int, path: Path):
    assert changed(verdicts_of([section(near(0.4), num_seeds)], []), path) == []
    holed = section(lambda entry: None if config_of(entry).seed == 1 else 0.4)
    assert changed(verdicts_of([holed], []), path) == []


def test_every_reading_has_verdicts_of_its_own(path: Path):
    runs = make(STUDY, lambda entry: 0.9 if entry.names["reading"] == "one" else 0.1, num_seeds=5)
    found = verdicts_of([read_section(STUDY, runs)], [])
    assert found == {"own": {"one: λ = 0": "agrees", "other: λ = 0": "differs"}}
    accept(found, path)
    other_now = make(STUDY, lambda _: 0.9, num_seeds=5)
    told = changed(verdicts_of([read_section(STUDY, other_now)], []), path)
    assert told == ["own: other: λ = 0: agrees, was differs"]


def test_a_study_that_is_accepted_again_replaces_what_it_had_and_no_other(path: Path):
    accept({"other": {"a": "agrees"}}, path)
    accept({"own": {"b": "differs"}}, path)
    assert yaml.safe_load(path.read_text("utf-8")) == {
        "other": {"a": "agrees"},
        "own": {"b": "differs"},
        "theory": {"3.2: a minimum": "holds"},
    }


def test_what_is_new_or_was_never_accepted_is_no_change(path: Path, tmp_path: Path):
    assert changed({"own": {"new": "differs"}, "another": {"λ = 0": "differs"}}, path) == []
    assert changed({"own": {"λ = 0": "differs"}}, tmp_path / "none.yaml") == []
    (tmp_path / "empty.yaml").write_text("")
    assert changed({"own": {"λ = 0": "differs"}}, tmp_path / "empty.yaml") == []


def test_greek_letters_survive_wherever_one_lives(tmp_path: Path):
    """The file is UTF-8, whatever the locale's encoding is."""
    path = tmp_path / "expectations.yaml"
    code = (
        "from pathlib import Path; from pipeline.reproduce.expectations import accept; "
        f"accept({{'own': {{'\\u03bb': 'agrees'}}}}, Path({str(path)!r}))"
    )
    subprocess.run(
        [sys.executable, "-X", "utf8=0", "-c", code],
        env=os.environ
        | {"PYTHONPATH": str(command.CHECKOUT), "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"},
        check=True,
    )
    assert changed({"own": {"λ": "differs"}}, path) == ["own: λ: differs, was agrees"]


def test_all_that_is_expected_exists():
    expected = yaml.safe_load(EXPECTATIONS.read_text("utf-8"))
    assert set(expected) == {*STUDIES, "theory"}
    for name in STUDIES:
        study = shipped(name)
        found = verdicts_of([read_section(study, make(study, lambda _: None, name=name))], [])
        assert set(expected[name]) == set(found[name])
        assert not {"runs missing", "too few seeds"} & set(expected[name].values())
