"""What the figures of the studies are drawn from; how they are drawn has tests of its own."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from pipeline.report.study_figures import Panel
from pipeline.reproduce import figures
from pipeline.reproduce.figures import draw_study
from pipeline.reproduce.runs import StudyJob, StudyRuns
from pipeline.reproduce.study import Study
from tests.report.looking import pixels
from tests.reproduce.hand_made import (
    NAMES,
    Curves,
    Outcome,
    as_printed,
    config_of,
    make,
    make_shipped,
    own,
    shipped,
)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[list[Panel]]:
    """The panels of every figure, which are not drawn."""
    found: list[list[Panel]] = []

    def draw_panels(_: Path, panels: list[Panel], **__: object) -> None:
        found.append(panels)

    monkeypatch.setattr(figures, "draw_panels", draw_panels)
    return found


def draw(study: Study, runs: StudyRuns) -> None:
    draw_study(Path("folder"), study, runs)


def by_label(panel: Panel) -> dict[str, list[float]]:
    """What is drawn as published, by line."""
    return {band.label: list(band.published or []) for band in panel.bands}


def without_seed_1(study: Study) -> Outcome:
    return lambda entry: None if config_of(entry).seed == 1 else as_printed(study)(entry)


def test_losses_are_drawn_by_epoch_over_what_was_published(drawn: list[list[Panel]]):
    study = shipped("losses")
    draw(study, make_shipped("losses", as_printed(study)))
    ((loss, accuracy),) = drawn
    assert (loss.title, accuracy.title) == ("train loss", "test accuracy")
    assert (loss.y_scale, accuracy.y_scale) == ("log", "linear")
    assert list(loss.x) == [1, 2, 3, 4, 5]
    labels = ["mean squared error", "cross-entropy", "log-likelihood"]
    for panel in (loss, accuracy):
        assert [band.label for band in panel.bands] == labels
        for band in panel.bands:
            assert [list(seed) for seed in band.values] == [list(band.published or [])] * 3
    assert accuracy.bands[0].published == [0.842, 0.8791, 0.8932, 0.8989, 0.902]


def test_a_missing_run_is_a_gap_in_its_line(drawn: list[list[Panel]]):
    for name in ("losses", "penalties"):
        draw(shipped(name), make_shipped(name, without_seed_1(shipped(name))))
    for panel in [panel for of_figure in drawn for panel in of_figure]:
        for band in panel.bands:
            first, missing, last = band.values
            assert len(missing) == len(panel.x)
            assert all(map(math.isnan, missing))
            assert not any(map(math.isnan, [*first, *last]))


def test_penalties_are_drawn_by_strength_beyond_what_was_published(drawn: list[list[Panel]]):
    study = shipped("penalties")
    draw(study, make_shipped("penalties", lambda entry: config_of(entry).regularizer.strength / 9))
    ((panel,),) = drawn
    assert panel.x[-4:] == [0.1, 0.3, 1, 3]
    for band in panel.bands:
        assert band.published is not None
        assert list(map(math.isnan, band.published))[-3:] == [True] * 3
        assert list(band.values[0]) == pytest.approx([strength / 9 for strength in panel.x])
    l1, l2 = (band.published or [] for band in panel.bands)
    assert (l1[6], l2[0], l2[6]) == (0.1135, 0.9177, 0.8175)


def test_the_one_published_column_is_drawn_once_beside_all_readings(drawn: list[list[Panel]]):
    def outcome(entry: StudyJob) -> float:
        dropout = config_of(entry).dropout
        place = 0.1 * (dropout.name == "logits") + 0.01 * (dropout.phase == "always")
        return place + (dropout.p_keep or 0) / 2

    draw(shipped("dropout"), make_shipped("dropout", outcome))
    for of_figure, place in zip(drawn, (0, 0.1), strict=True):
        (panel,) = of_figure
        *lines, printed = panel.bands
        assert (printed.label, len(printed.values)) == ("published", 0)
        assert (printed.published or [])[:2] == [0.4825, 0.7582]
        assert math.isnan((printed.published or [])[-1])
        shifts = {"while training": 0, "training and test": 0.01, "at test alone": 0}
        assert [line.label for line in lines] == list(shifts)
        for line in lines:
            assert line.published is None
            expected = [place + shifts[line.label] + p_keep / 2 for p_keep in panel.x]
            assert list(line.values[0]) == pytest.approx(expected)


def test_runs_that_are_rarely_evaluated_are_drawn_where_they_are(drawn: list[list[Panel]]):
    """A line would have a gap at every epoch between two evaluations, and nothing would show."""
    grid = ["optimizer.lr=0.1", "trainer.max_epochs=9", "trainer.evaluate_every=3"]
    study = own(grids={"one": grid}, figures=[{"title": "x"}])
    nan = math.nan
    curve = [nan, nan, 0.3, nan, nan, 0.6, nan, nan, 0.9]
    draw(study, make(study, lambda _: {"test/accuracy": curve}))
    ((panel,),) = drawn
    assert list(panel.x) == [3, 6, 9]
    assert [list(seed) for seed in panel.bands[0].values] == [[0.3, 0.6, 0.9]] * 3


def test_what_was_published_is_drawn_in_full_however_few_runs_there_are(
    drawn: list[list[Panel]],
):
    study = shipped("losses")
    draw(study, make_shipped("losses", lambda _: None))
    ((_, accuracy),) = drawn
    assert by_label(accuracy)["log-likelihood"] == [0.9108, 0.9093, 0.9191, 0.9189, 0.9191]


def test_lines_of_different_length_share_their_axis(drawn: list[list[Panel]]):
    study = own(figures=[{"title": "x", "lines": {"all": {"optimizer.lr": 0.1}}}])
    draw(study, make(study, lambda entry: {"test/accuracy": [0.5] * (3 + config_of(entry).seed)}))
    ((panel,),) = drawn
    assert list(panel.x) == [1, 2, 3, 4, 5]
    assert [sum(map(math.isnan, seed)) for seed in panel.bands[0].values] == [2, 1, 0]


def test_every_finished_run_of_the_sgd_network_is_drawn(monkeypatch: pytest.MonkeyPatch):
    found: dict[str, Any] = {}

    def draw_runs(
        path: Path, curves: list[list[float]], groups: list[int], **words: object
    ) -> None:
        found.update(words, path=path, curves=curves, groups=groups)

    def outcome(entry: StudyJob) -> Curves | None:
        seed = config_of(entry).seed
        lost = [5.0] * 29 + [float(seed)]
        curves = {**as_printed(study)(entry), "test/lost_classes": lost}
        return None if seed == 1 else curves

    study = shipped("sgd_network")
    monkeypatch.setattr("pipeline.reproduce.bands.draw_runs", draw_runs)
    draw(study, make_shipped("sgd_network", outcome))
    published = study.published[0].values
    assert found["curves"] == [published] * 2
    assert found["groups"] == [0, 2]
    assert found["published"] == published


@pytest.mark.parametrize("outcome", [lambda _: None, lambda _: 0.9], ids=["nothing", "all"])
@pytest.mark.parametrize("name", NAMES)
def test_every_figure_of_the_own_studies_is_drawn(name: str, outcome: Outcome, tmp_path: Path):
    study = shipped(name)
    files = draw_study(tmp_path, study, make_shipped(name, outcome))
    assert sorted(files) == sorted(tmp_path.iterdir())
    for file in files:
        pixels(file)


def test_every_figure_of_a_study_has_a_file_of_its_own(tmp_path: Path):
    """Bands and a figure, too."""
    bands = {"title": "x", "gap": 0.1, "counted": "test/lost_classes", "counts": "digit lost"}
    curve = {"label": "x", "kind": "curve", "values": [0.9] * 5}
    study = own(
        grids={"one": ["optimizer.lr=0.1"]},
        published=[curve],
        bands=bands,
        figures=[{"title": "y"}],
    )
    files = draw_study(tmp_path, study, make(study, lambda _: 0.9))
    assert len(set(files)) == len(files) == 2
