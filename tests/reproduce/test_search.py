"""The search for what an underspecified protocol may mean, on runs made by hand."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from pipeline.config.compose import register
from pipeline.reproduce import search
from pipeline.reproduce.runs import StudyJob, StudyRuns
from pipeline.reproduce.search import Tried, combinations, rank
from pipeline.reproduce.study import Study
from tests.reproduce.hand_made import Outcome, cells_of, config_of, noise, own, result_of, shipped

AT = [0.1, 0.2, 0.3]

CHOICES = {
    "init": {"normal": [], "zero": ["model.init=zeros"]},
    "batch": {"100": [], "50": ["data.batch_size=50"], "200": ["data.batch_size=200"]},
}

STUDY = own(
    published=[
        {"label": "x", "along": "optimizer.lr", "at": AT, "values": [0.8, 0.85, 0.9]},
        {"label": "loss", "along": "optimizer.lr", "at": AT, "values": [0.3, 0.2, 0.1],
         "metric": "train/loss"},
    ],
    search=CHOICES,
)  # fmt: skip


def true_one(entry: StudyJob) -> dict[str, list[float]]:
    """Zeros and batches of 50 are what was published; all else lies the farther off."""
    config = config_of(entry)
    off = (config.model.init != "zeros") + abs(config.data.batch_size - 50) / 50
    accuracy = 0.75 + config.optimizer.lr / 2 - 0.01 * off + 0.001 * noise(entry)
    loss = 0.4 - config.optimizer.lr + 0.02 * off + 0.001 * noise(entry)
    return {"test/accuracy": [accuracy] * 5, "train/loss": [loss] * 5}


def searched(monkeypatch: pytest.MonkeyPatch, study: Study, outcome: Outcome) -> str:
    """What the search says if the runs come out as a function says, once they are trained."""
    trained: set[str] = set()

    def find_runs(name: str, jobs: Sequence[StudyJob]) -> StudyRuns:
        found = [result_of(entry, outcome) if trained else None for entry in jobs]
        return StudyRuns(name, list(jobs), found)

    def train_missing(runs: StudyRuns, _: str | None) -> None:
        trained.update(str(job) for job in runs.missing)

    monkeypatch.setattr(search, "find_runs", find_runs)
    monkeypatch.setattr(search, "train_missing", train_missing)
    register()
    return search.search("own", study, [])


def test_every_combination_is_tried_once():
    found = list(combinations(STUDY))
    assert len(found) == 6
    assert found[0] == ({"init": "normal", "batch": "100"}, [])
    assert found[-1] == (
        {"init": "zero", "batch": "200"},
        ["model.init=zeros", "data.batch_size=200"],
    )
    assert len({tuple(options.values()) for options, _ in found}) == 6


def test_the_true_protocol_is_ranked_first(monkeypatch: pytest.MonkeyPatch):
    text = searched(monkeypatch, STUDY, true_one)
    assert text.startswith("## Rates\n\n6 readings were tried")
    header, first, *others = cells_of("\n".join(re.findall(r"^\|.*$", text, re.MULTILINE)))
    assert header[:2] == ["init", "batch"]
    assert first == ["zero", "50", "0.0", "0 of 6"]
    scores = [float(row[2]) for row in others]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] < -1
    assert others[-1][:2] == ["normal", "200"]
    assert others[-1][3] == "6 of 6"


def test_what_half_of_the_numbers_choose_is_judged_by_the_others(monkeypatch: pytest.MonkeyPatch):
    text = searched(monkeypatch, STUDY, true_one)
    for half in ("odd", "even"):
        said = f"- chosen on the {half} numbers: init: zero, batch: 50; on the others it is"
        assert f"{said} number 1 of 6" in text


def test_a_protocol_that_fits_by_luck_falls_behind_on_the_other_half():
    lucky = Tried({"init": "lucky"}, [9.0, -9.0, 9.0, -9.0], "")
    steady = Tried({"init": "steady"}, [1.0, 1.0, 1.0, 1.0], "")
    poor = Tried({"init": "poor"}, [-5.0, -5.0, -5.0, -5.0], "")
    assert [it.options["init"] for it in rank([poor, lucky, steady])] == ["steady", "lucky", "poor"]
    text = search._held_out(rank([poor, lucky, steady]))
    first, second = text.splitlines()[-2:]
    assert "init: lucky; on the others it is number 3 of 3" in first
    assert "init: steady; on the others it is number 2 of 3" in second


def test_a_single_number_has_no_other_half(monkeypatch: pytest.MonkeyPatch):
    one = [{"label": "x", "where": {"optimizer.lr": 0.1}, "values": [0.8]}]
    study = own(published=one, search=CHOICES)
    assert "on the others" not in searched(monkeypatch, study, true_one)


def test_a_protocol_whose_runs_fail_comes_last_and_shows_no_verdict(
    monkeypatch: pytest.MonkeyPatch,
):
    def diverging(entry: StudyJob) -> dict[str, list[float]] | None:
        return None if config_of(entry).model.init == "zeros" else true_one(entry)

    text = searched(monkeypatch, STUDY, diverging)
    rows = cells_of("\n".join(re.findall(r"^\|.*$", text, re.MULTILINE)))[1:]
    assert [row[0] for row in rows] == ["normal"] * 3 + ["zero"] * 3
    assert "0 of 6" not in {row[3] for row in rows[3:]}


def test_without_runs_no_protocol_is_likely(monkeypatch: pytest.MonkeyPatch):
    nothing = searched(monkeypatch, STUDY, lambda _: None)
    assert "nan" not in nothing


@pytest.mark.parametrize("name", ["losses", "penalties", "dropout"])
def test_the_own_studies_first_combination_is_their_own_protocol_or_a_reading(name: str):
    register()
    study = shipped(name)
    found = list(combinations(study))
    assert len(found) > 9
    names, overrides = found[0]
    assert set(names) == set(study.search)
    assert overrides == next(iter(study.readings.values()), [])
    for _, said in (found[0], found[-1]):
        assert search.compose_jobs(name, search._as(study, 1, said), [])
