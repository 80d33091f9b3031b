"""What the figures of the studies are drawn from; how they are drawn has tests of its own."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from pipeline.config.schema import Config
from pipeline.report.study_figures import Panel
from pipeline.reproduce import figures
from pipeline.reproduce.figures import PANELS, draw_study
from pipeline.reproduce.runs import StudyRuns
from tests.report.looking import pixels
from tests.reproduce.hand_made import REFERENCE, Curves, as_printed, make


def panels_of(runs: StudyRuns) -> list[Panel]:
    _, make_panels = PANELS[runs.name]
    return make_panels(runs, REFERENCE)


def without_seed_1(config: Config) -> Curves | None:
    return None if config.seed == 1 else as_printed(config)


@pytest.mark.parametrize("study", ["losses", "penalties"])
def test_our_seeds_are_drawn_over_what_was_published(study: str):
    for panel in panels_of(make(study, as_printed)):
        for band in panel.bands:
            assert band.published is not None
            assert len(band.published) == len(panel.x)
            assert [list(seed) for seed in band.values] == [list(band.published)] * 3


@pytest.mark.parametrize("study", ["losses", "penalties"])
def test_a_missing_run_is_drawn_as_a_gap(study: str):
    for panel in panels_of(make(study, without_seed_1)):
        for band in panel.bands:
            first, missing, last = band.values
            assert len(missing) == len(panel.x)
            assert all(map(math.isnan, missing))
            assert list(first) == list(last) == list(band.published or [])


def test_losses_are_drawn_by_epoch():
    loss, accuracy = panels_of(make("losses", as_printed))
    assert (loss.title, accuracy.title) == ("train loss", "test accuracy")
    assert list(loss.x) == [1, 2, 3, 4, 5]
    assert [band.label for band in loss.bands] == [
        "mean squared error",
        "cross-entropy",
        "log-likelihood",
    ]
    assert loss.bands[2].published == REFERENCE.losses.nll.train_loss
    assert accuracy.bands[0].published == REFERENCE.losses.mse.test_accuracy


def test_penalties_are_drawn_by_strength():
    (panel,) = panels_of(make("penalties", as_printed))
    assert panel.x == REFERENCE.penalties.strength
    assert {band.label: band.published for band in panel.bands} == {
        "L1": REFERENCE.penalties.l1,
        "L2": REFERENCE.penalties.l2,
    }


def test_dropout_is_drawn_by_place_time_and_p_keep():
    def outcome(config: Config) -> float:
        shift = {"train": 0.0, "always": 0.01, "test": 0.02}[config.dropout.phase]
        shift += 0.1 if config.dropout.name == "logits" else 0
        return shift + (config.dropout.p_keep or 0) / 2

    panels = panels_of(make("dropout", outcome))
    assert [panel.title for panel in panels] == ["dropout of the inputs", "dropout of the logits"]
    for panel, place in zip(panels, (0, 0.1), strict=True):
        assert panel.x == [0.2, 0.4, 0.5, 0.6, 0.8, 0.9, 1]
        for band, shift in zip(panel.bands, (0, 0.01, 0.02), strict=True):
            expected = [place + shift + p_keep / 2 for p_keep in panel.x]
            assert list(band.values[0]) == pytest.approx(expected)
    published = [band.published for panel in panels for band in panel.bands]
    (column,) = [column for column in published if column]
    by_p_keep = dict(zip(panels[0].x, column, strict=True))
    assert (by_p_keep[0.2], by_p_keep[1.0]) == (0.4825, 0.9177)


def test_the_network_that_overfits_is_drawn_by_p_keep():
    def outcome(config: Config) -> Curves | None:
        p_keep = config.dropout.p_keep or 0
        curves = {"train/accuracy": [1 - p_keep / 9] * 30, "test/accuracy": [p_keep / 2] * 30}
        return None if (config.seed, p_keep) == (2, 0.8) else curves

    train, test = panels_of(make("claims", outcome))
    assert list(train.x) == list(test.x) == list(range(1, 31))
    labels = ["p(keep) = 0.5", "p(keep) = 0.8", "p(keep) = 1"]
    assert [band.label for band in train.bands] == [band.label for band in test.bands] == labels
    assert test.bands[0].values == [[0.25] * 30] * 3
    assert train.bands[2].values == [[1 - 1 / 9] * 30] * 3
    assert all(map(math.isnan, test.bands[1].values[2]))


def test_every_finished_run_of_the_sgd_network_is_drawn(monkeypatch: pytest.MonkeyPatch):
    drawn: dict[str, Any] = {}

    def draw_runs(
        path: Path, curves: list[list[float]], groups: list[int], **words: object
    ) -> None:
        drawn.update(words, path=path, curves=curves, groups=groups)

    def outcome(config: Config) -> Curves | None:
        ignored = [5.0] * 29 + [float(config.seed)]
        curves = {**as_printed(config), "test/lost_classes": ignored}
        return None if config.seed == 1 else curves

    monkeypatch.setattr(figures, "draw_runs", draw_runs)
    draw_study(Path("figure.png"), make("sgd_network", outcome), REFERENCE)
    published = [correct / 10_000 for correct in REFERENCE.sgd_network.correct]
    assert drawn["curves"] == [published] * 2
    assert drawn["groups"] == [0, 2]
    assert drawn["published"] == published


@pytest.mark.parametrize("study", [*PANELS, "sgd_network"])
def test_every_study_has_a_figure_even_without_runs(tmp_path: Path, study: str):
    draw_study(tmp_path / "figure.png", make(study, lambda _: None), REFERENCE)
    pixels(tmp_path / "figure.png")
