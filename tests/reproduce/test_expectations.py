from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from pipeline.reproduce.cells import Answer, Cell, find_cells

from pipeline.reproduce.expectations import EXPECTATIONS, accept, lost_agreements
from pipeline.reproduce.verdicts import Estimate, Verdict
from tests.reproduce.hand_made import REFERENCE


def answers(**verdicts: Verdict) -> list[Answer]:
    ours = Estimate((0.8, 0.82), 2)
    return [
        Answer(Cell(label, 0.9, {}, "test/accuracy", 5), ours, verdict)
        for label, verdict in verdicts.items()
    ]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Expectations of one study with two cells that agree, and of another one."""
    path = tmp_path / "expectations.yaml"
    first = answers(a=Verdict.INSIDE, b=Verdict.CLOSE, c=Verdict.DIFFERENT)
    accept({"losses": first, "dropout": answers(d=Verdict.INSIDE)}, path)
    return path


def test_the_cells_that_agree_are_written_down(path: Path):
    assert yaml.safe_load(path.read_text()) == {"losses": ["a", "b"], "dropout": ["d"]}
    assert path.read_text().startswith("# ")
    assert "python -m pipeline.reproduce --accept" in path.read_text()


def test_a_study_that_is_accepted_again_replaces_what_it_had_and_no_other(path: Path):
    accept({"losses": answers(b=Verdict.CLOSE, c=Verdict.INSIDE), "claims": []}, path)
    assert yaml.safe_load(path.read_text()) == {"losses": ["b", "c"], "dropout": ["d"]}


def test_labels_with_greek_letters_survive(path: Path):
    label = "L1, λ = 0.01"
    accept({"penalties": answers(**{label: Verdict.INSIDE})}, path)
    assert label in path.read_text()
    found = lost_agreements({"penalties": answers(**{label: Verdict.DIFFERENT})}, path)
    assert len(found) == 1


@pytest.mark.parametrize("verdict", [Verdict.INSIDE, Verdict.CLOSE, Verdict.MISSING])
def test_a_cell_that_still_agrees_or_waits_for_runs_is_not_lost(verdict: Verdict, path: Path):
    assert lost_agreements({"losses": answers(a=verdict, b=verdict)}, path) == []


def test_a_cell_that_used_to_agree_and_differs_is_lost_and_named(path: Path):
    now = answers(a=Verdict.INSIDE, b=Verdict.DIFFERENT, c=Verdict.DIFFERENT)
    assert lost_agreements({"losses": now}, path) == [
        "losses: b: published 0.9000, ours 0.8100 (different)"
    ]


def test_the_same_label_of_another_study_is_another_cell(path: Path):
    assert lost_agreements({"dropout": answers(a=Verdict.DIFFERENT)}, path) == []


def test_without_a_file_nothing_is_expected(tmp_path: Path):
    now = {"losses": answers(a=Verdict.DIFFERENT)}
    assert lost_agreements(now, tmp_path / "none.yaml") == []


def test_every_cell_that_is_expected_to_agree_exists():
    expected = yaml.safe_load(EXPECTATIONS.read_text())
    assert sum(map(len, expected.values())) > 20
    for study, labels in expected.items():
        assert set(labels) <= {cell.label for cell in find_cells(study, REFERENCE)}
        assert len(set(labels)) == len(labels)


def test_a_change_of_any_expected_cell_is_noticed():
    for study in yaml.safe_load(EXPECTATIONS.read_text()):
        ours = Estimate((0.5,), 1)
        cells = find_cells(study, REFERENCE)
        now = [Answer(cell, ours, Verdict.DIFFERENT) for cell in cells]
        expected = yaml.safe_load(EXPECTATIONS.read_text())[study]
        assert len(lost_agreements({study: now})) == len(expected)
