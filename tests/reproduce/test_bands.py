"""Final values that fall into bands, and the published run among them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.reproduce.bands import bands_table, draw_bands
from pipeline.reproduce.runs import StudyJob, StudyRuns
from pipeline.reproduce.study import Bands, Study
from tests.report.looking import pixels
from tests.reproduce.hand_made import Curves, config_of, make, own

BANDS = {
    "title": "x",
    "gap": 0.02,
    "counted": "test/lost_classes",
    "counts": "digit lost",
}

CURVE = {"label": "x", "kind": "curve", "values": [0.3, 0.5, 0.7, 0.8, 0.852]}

ENDS = [0.91, 0.75, 0.85, 0.92, 0.862, 0.9]

LOST = [0, 2, 1, 0, 1, 1]


def banded(**entries: object) -> tuple[Study, Bands]:
    study = own(grids={"one": ["optimizer.lr=0.1"]}, bands=BANDS, published=[CURVE], **entries)
    assert study.bands is not None
    return study, study.bands


def curves(entry: StudyJob) -> Curves:
    seed = config_of(entry).seed
    last = ENDS[seed]
    ignored = [9.0, 9.0, 9.0, 9.0, float(LOST[seed])]
    return {"test/accuracy": [0.1, 0.2, 0.3, 0.4, last], "test/lost_classes": ignored}


def runs_of(study: Study, *missing: int) -> StudyRuns:
    def outcome(entry: StudyJob) -> Curves | None:
        return None if config_of(entry).seed in missing else curves(entry)

    return make(study, outcome, num_seeds=len(ENDS))


def test_values_nearer_than_the_gap_share_a_band_and_the_best_comes_last():
    study, bands = banded()
    table = bands_table(study, bands, runs_of(study))
    assert list(table.header)[:3] == ["test accuracy at the end", "runs", "digit lost"]
    assert [list(row) for row in table.rows] == [
        ["0.7500", "1", "2 (1 run)", ""],
        ["0.8500 to 0.8620", "2", "1 (2 runs)", "here with 0.8520: 1 of 2 end higher"],
        ["0.9000 to 0.9200", "3", "0 (2 runs), 1 (1 run)", ""],
    ]
    assert table.note == ""


@pytest.mark.parametrize(
    ("missing", "note"), [((1,), "1 run is missing."), ((1, 2), "2 runs are missing.")]
)
def test_runs_that_are_missing_are_told(missing: tuple[int, ...], note: str):
    study, bands = banded()
    table = bands_table(study, bands, runs_of(study, *missing))
    assert sum(int(row[1]) for row in table.rows) == len(ENDS) - len(missing)
    assert table.note == note


def test_a_published_run_far_from_all_bands_stands_in_none():
    study, bands = banded()
    rows = bands_table(study, bands, runs_of(study, 2, 4)).rows
    assert [row[3] for row in rows] == ["", ""]


def test_without_runs_there_is_no_nearest_one_and_no_band():
    study, bands = banded()
    nothing = make(study, lambda _: None)
    assert list(bands_table(study, bands, nothing).rows) == []


@pytest.mark.parametrize("published", [[CURVE], []], ids=["published", "own"])
def test_bands_are_drawn_with_or_without_a_published_run(
    published: list[dict[str, Any]], tmp_path: Path
):
    study = banded()[0].model_copy(update={"published": own(published=published).published})
    assert study.bands is not None
    draw_bands(tmp_path / "bands.png", study, study.bands, runs_of(study))
    pixels(tmp_path / "bands.png")
    if not published:
        assert {row[3] for row in bands_table(study, study.bands, runs_of(study)).rows} == {""}
