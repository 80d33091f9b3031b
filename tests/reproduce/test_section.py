"""A study's part of the report, from runs made by hand."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from pipeline.reproduce.runs import StudyJob
from pipeline.reproduce.section import Section, read_section
from pipeline.reproduce.study import Study
from pipeline.reproduce.verdicts import Verdict
from tests.reproduce.hand_made import (
    FAST,
    NAMES,
    SLOW,
    Outcome,
    as_printed,
    cells_of,
    config_of,
    make,
    noise,
    own,
    shipped,
)


def section(study: Study, outcome: Outcome, num_seeds: int = 5) -> Section:
    return read_section(study, make(study, outcome, num_seeds=num_seeds))


def tables(text: str) -> list[list[list[str]]]:
    return [cells_of(block.strip()) for block in re.findall(r"(?:^\|.*\n?)+", text, re.MULTILINE)]


NUMBERS = own(
    published=[
        {"label": "alone", "where": SLOW, "values": [0.9]},
        {"label": "three", "where": SLOW, "kind": "mean", "of": 3, "values": [0.9]},
        {"label": "ten", "where": SLOW, "kind": "best", "of": 10, "values": [0.9]},
        {"label": "top", "where": SLOW, "kind": "peak", "values": [0.9]},
        {"label": "tops", "where": SLOW, "kind": "peak", "of": 10, "values": [0.9]},
        {"label": "curve", "where": SLOW, "kind": "curve", "values": [0.9, 0.9, 0.5, 0.9]},
    ],
    claims=[
        {"says": "fast is better", "all": [{"higher": FAST, "lower": SLOW}]},
        {"says": "slow is fine", "all": [{"higher": SLOW, "lower": 0.5}]},
    ],
)


def test_every_number_stands_beside_ours_with_its_interval_and_verdict():
    (numbers, claims) = tables(section(NUMBERS, lambda _: 0.9).markdown([], "folder"))
    assert numbers == [
        ["", "what", "published", "expected of ours", "interval", "seeds", "verdict"],
        ["alone", "single", "0.9000", "0.9000", "0.9000 to 0.9000", "5", "agrees"],
        ["three", "mean of 3", "0.9000", "0.9000", "0.9000 to 0.9000", "5", "agrees"],
        ["ten", "best of 10", "0.9000", "0.9000", "0.9000 to 0.9000", "5", "agrees"],
        ["top", "peak", "0.9000", "0.9000", "0.9000 to 0.9000", "5", "agrees"],
        ["tops", "peak, best of 10", "0.9000", "0.9000", "0.9000 to 0.9000", "5", "agrees"],
        ["curve", "curve, epoch 3", "0.5000", "0.9000", "0.9000 to 0.9000", "5", "differs"],
    ]
    assert [row[:2] for row in claims[1:]] == [
        ["fast is better", claims[1][1]],
        ["slow is fine", "supported"],
    ]
    assert claims[2][3] == "say so: +0.4000"


@pytest.mark.parametrize(
    ("num_seeds", "verdict"), [(0, "runs missing"), (1, "too few seeds"), (2, "too few seeds")]
)
def test_without_enough_runs_the_table_shows_what_was_published_and_holes(
    num_seeds: int, verdict: str
):
    accuracy = 0.9 if num_seeds else None
    text = section(NUMBERS, lambda _: accuracy, num_seeds or 3).markdown([], "folder")
    rows = tables(text)[0][1:]
    assert {row[6] for row in rows} == {verdict}
    assert {row[2] for row in rows} == {"0.9000"}
    assert {row[3] for row in rows} == {"0.9000" if num_seeds else ""}
    assert {row[5] for row in rows} == {str(num_seeds) if num_seeds else "0 of 3"}
    assert not re.search(r"\bnan\b", text)


def test_a_seed_that_is_missing_is_counted():
    text = section(NUMBERS, lambda entry: 0.9 if config_of(entry).seed else None).markdown([], "f")
    assert {row[5] for row in tables(text)[0][1:]} == {"4 of 5"}


def test_the_section_begins_with_question_source_and_protocol():
    study = own(about="How it is done.\n", fitted="The rate, of three.\n")
    text = section(study, lambda _: 0.9).markdown([], "folder")
    assert text.startswith("## Rates\n\n*Which rate?* Source: a paper.\n\nHow it is done.\n\n")
    assert "What was fitted: The rate, of three." in text
    assert "`python -m pipeline -m optimizer.lr=0.1,0.2,0.3`" in text
    without = section(own(), lambda _: 0.9).markdown([], "folder")
    assert "chosen" not in without


def test_what_is_typed_for_a_grid_reaches_it_through_the_shell():
    study = own(grids={"one": ["optimizer.lr=0.1", "hydra.job.name=two words"]})
    text = section(study, lambda _: 0.9).markdown([], "folder")
    (typed,) = re.findall(r"`python -m pipeline -m (.*?)`", text)
    assert shlex.split(typed) == study.grids["one"]


@pytest.mark.parametrize("name", NAMES)
def test_the_command_of_an_own_study_is_its_name(name: str):
    runs = make(shipped(name), lambda _: None, name=name)
    text = read_section(shipped(name), runs).markdown([], "folder")
    assert f"Command: `python -m pipeline.reproduce {name}`." in text


def test_figures_are_found_in_the_folder_beside_the_report():
    text = section(own(), lambda _: 0.9).markdown([Path("x/own_1.png")], "two words")
    assert "![Rates](two%20words/own_1.png)" in text


READ = own(
    published=[{"label": "x", "along": "optimizer.lr", "at": [0.1, 0.3], "values": [0.8, 0.9]}],
    readings={"normal": [], "zeros": ["model.init=zeros"]},
)


def read(entry: StudyJob) -> float:
    """The second reading is what was meant."""
    rate = config_of(entry).optimizer.lr
    right = {0.1: 0.8, 0.2: 0.85, 0.3: 0.9}[rate]
    return (right if entry.names["reading"] == "zeros" else 0.5) + 0.0005 * noise(entry)


def test_the_numbers_are_judged_by_every_reading():
    found = section(READ, read)
    assert list(found.answers) == ["normal", "zeros"]
    text = found.markdown([], "folder")
    first, second, counts = tables(text)
    assert "By the reading *normal*:" in text
    assert [row[6] for row in first[1:]] == ["differs", "differs"]
    assert [row[6] for row in second[1:]] == ["agrees", "agrees"]
    assert counts == [
        ["reading", "agrees", "differs"],
        ["normal", "0", "2"],
        ["zeros", "2", "0"],
    ]


def test_the_first_reading_is_the_one_that_counts():
    """Lest the best of several is counted as if it had been the only one."""
    found = section(READ, read)
    assert [one.answer.verdict for one in found.counted()] == [Verdict.DIFFERS] * 2


def test_how_well_the_rule_tells_apart_is_said_in_numbers():
    text = section(READ, read).markdown([], "folder")
    assert "Of 2 mismatches, each" in text
    assert "the same rule rejects 2 (100%)" in text
    assert "of the 2 numbers with their own runs it rejects 0." in text
    same = section(READ, lambda entry: 0.85 + 0.0005 * noise(entry)).markdown([], "folder")
    assert "mismatches" not in same


def test_a_study_without_published_numbers_has_claims_alone():
    study = own(claims=[{"says": "slow | steady", "all": [{"higher": SLOW, "lower": 0.5}]}])
    found = section(study, lambda _: 0.9)
    assert found.counted() == []
    ((header, row),) = tables(found.markdown([], "folder"))
    assert header == ["the claim", "verdict", "the runs", "the published numbers"]
    assert row[:2] == ["slow | steady", "supported"]
    assert row[3] == ""


def test_the_sgd_networks_bands_stand_in_its_section():
    study = shipped("sgd_network")
    text = read_section(study, make(study, as_printed(study), name="sgd_network")).markdown(
        [], "folder"
    )
    bands = tables(text)[1]
    assert bands[0][0] == "test accuracy at the end"
    assert bands[1][0] == "0.8385"
