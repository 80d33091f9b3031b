from __future__ import annotations

import pytest
from pipeline.reproduce.cells import DROPOUT_READINGS, answer, dropout_cells, find_cells
from pipeline.reproduce.conclusions import Decision, Judgement
from pipeline.reproduce.tables import (
    answers_table,
    bands_table,
    claims_table,
    epochs_as_printed,
    readings_table,
)

from pipeline.config.schema import Config
from pipeline.report.table import Table
from pipeline.reproduce.runs import StudyRuns
from tests.reproduce.hand_made import REFERENCE, Curves, as_printed, make


def shifted(config: Config) -> Curves:
    """What is printed, and .01 more or less for seeds 2 and 0."""
    shift = 0.01 * (config.seed - 1)
    return {key: [value + shift for value in curve] for key, curve in as_printed(config).items()}


def rows(study: str, runs: StudyRuns) -> dict[str, list[str]]:
    answers = [answer(cell, runs) for cell in find_cells(study, REFERENCE)]
    found = answers_table(answers)
    assert found.header == ["", "published", "ours", "± 95 %", "n", "difference", "verdict"]
    assert len(found.rows) == len(answers)
    return {first: rest for first, *rest in found.rows}


def finals(*pairs: tuple[int, int] | None) -> StudyRuns:
    """Runs of the SGD network: images recognised at the end and digits ignored, seed by seed."""

    def outcome(config: Config) -> Curves | None:
        pair = pairs[config.seed]
        if pair is None:
            return None
        correct, ignored = pair
        return {
            "test/accuracy": [0.1] * 29 + [correct / 10_000],
            "test/lost_classes": [9.0] * 29 + [float(ignored)],
        }

    return make("sgd_network", outcome, num_seeds=len(pairs))


def bands(*pairs: tuple[int, int] | None) -> list[list[str]]:
    found = bands_table(finals(*pairs), REFERENCE)
    assert found.header == ["recognised of 10000", "runs", "digits ignored", "published run"]
    return list(map(list, found.rows))


def test_a_row_says_all_that_a_comparison_needs():
    found = rows("penalties", make("penalties", shifted))
    assert found["L1, λ = 0.005"] == ["0.8549", "0.8549", "0.0248", "3", "+0.0000", "inside"]
    assert found["L2, λ = 0.1"][0] == "0.8175"


def test_a_difference_has_its_sign():
    found = rows("penalties", make("penalties", lambda _: 0.9))
    assert found["L1, λ = 0"][-2:] == ["-0.0177", "different"]
    assert found["L1, λ = 0.001"][-2:] == ["+0.0091", "close"]


def test_a_hole_shows_as_a_hole_with_its_count():
    def only_first_seed_of_l1(config: Config) -> Curves | None:
        missing = config.regularizer.name == "l1" and config.seed > 0
        return None if missing else shifted(config)

    found = rows("penalties", make("penalties", only_first_seed_of_l1))
    assert found["L1, λ = 0.01"] == ["0.1135", "0.1035", "", "1 of 3", "-0.0100", "runs missing"]
    assert found["L2, λ = 0.01"][3] == "3"
    assert found["L2, λ = 0.01"][5] == "inside"


def test_without_runs_the_published_numbers_stay():
    found = rows("losses", make("losses", lambda _: None))
    assert found["ce, train loss, epoch 1"] == ["0.0705", "", "", "0 of 3", "", "runs missing"]
    assert len(found) == 30


def test_one_seed_has_no_interval():
    found = rows("losses", make("losses", as_printed, num_seeds=1))
    assert found["nll, test accuracy, epoch 5"][2:4] == ["", "1"]


def test_a_cell_that_cannot_be_settled_says_so():
    found = rows("penalties", make("penalties", lambda config: 0.2 + 0.3 * config.seed))
    assert found["L2, λ = 0.1"][-1] == "not settled"


def readings(runs: StudyRuns) -> Table:
    return readings_table(
        {
            reading: [answer(cell, runs) for cell in dropout_cells(REFERENCE, where, phase)]
            for reading, (where, phase) in DROPOUT_READINGS.items()
        }
    )


def test_the_readings_stand_side_by_side_and_are_counted():
    found = readings(make("dropout", shifted))
    *body, counts = found.rows
    assert found.header == ["p(keep)", "published", *DROPOUT_READINGS]
    assert [row[0] for row in body] == ["1", "0.2", "0.4", "0.5", "0.6", "0.8", "0.9"]
    assert body[3][1:4] == ["0.8225", "0.8225 (inside)", "0.1000 (different)"]
    assert counts[2:] == ["7 of 7 agree", *["0 of 7 agree"] * 5]


def test_a_reading_without_all_its_runs_agrees_nowhere_it_lacks_one():
    def without_half(config: Config) -> Curves | None:
        is_it = (config.dropout.p_keep, config.seed) == (0.5, 1)
        return None if is_it else as_printed(config)

    *body, counts = readings(make("dropout", without_half)).rows
    assert body[3][2:] == ["2 of 3 runs"] * 6
    assert counts[2] == "6 of 7 agree"


def test_claims_stand_beside_their_verdicts():
    verdict = Judgement("a | b", Decision.UNDECIDED, "+1.00 ± 2.00 points")
    found = claims_table([verdict])
    assert found.header == ["the text says", "verdict", "the runs"]
    assert found.rows == [["a | b", "not decided", "+1.00 ± 2.00 points"]]


def test_bands_part_where_two_results_are_more_than_two_points_apart():
    pairs = [(9150, 0), (8385, 1), (7500, 2), (8350, 1), (9351, 0), (8550, 2)]
    assert bands(*pairs) == [
        ["7500", "1", "2 (1 run)", ""],
        ["8350 to 8550", "3", "1 (2 runs), 2 (1 run)", "here with 8385: 1 of 3 end higher"],
        ["9150", "1", "0 (1 run)", ""],
        ["9351", "1", "0 (1 run)", ""],
    ]


def test_results_two_points_apart_are_in_one_band():
    assert [row[0] for row in bands((7000, 2), (7200, 2), (7400, 1))] == ["7000 to 7400"]


@pytest.mark.parametrize(
    ("correct", "place"),
    [(8185, "here with 8385: 0 of 1 end higher"), (8184, ""),
     (8585, "here with 8385: 1 of 1 end higher"), (8586, "")],
)  # fmt: skip
def test_the_published_run_is_placed_in_the_band_that_it_would_join(correct: int, place: str):
    assert bands((correct, 1)) == [[str(correct), "1", "1 (1 run)", place]]


def test_bands_say_how_many_runs_are_missing():
    assert bands_table(finals((8385, 1), None, None), REFERENCE).note == "2 of 3 runs are missing."
    assert bands_table(finals((8385, 1)), REFERENCE).note == ""
    assert bands(None, None) == []


def test_the_run_that_ends_nearest_is_printed_as_the_text_prints_its_own():
    text = epochs_as_printed(finals((8000, 1), (8380, 1), None, (8400, 1)), REFERENCE)
    first, head, *lines, last = text.splitlines()
    assert (first, last) == ("```", "```")
    assert head.split() == ["published", "seed", "1"]
    assert lines[0].split("  ")[0] == "Epoch 0: 6714 / 10000"
    assert lines[0].endswith("  Epoch 0: 1000 / 10000")
    assert lines[29].startswith("Epoch 29: 8385 / 10000")
    assert lines[29].endswith("  Epoch 29: 8380 / 10000")
    assert len(lines) == 30


def test_a_run_of_fewer_epochs_is_printed_as_far_as_it_goes():
    runs = make("sgd_network", lambda _: {"test/accuracy": [0.7, 0.8]})
    lines = epochs_as_printed(runs, REFERENCE).splitlines()
    assert lines[3].endswith("Epoch 1: 8000 / 10000")
    assert lines[4].strip() == "Epoch 2: 7622 / 10000"


def test_without_a_finished_run_none_is_printed():
    assert epochs_as_printed(finals(None, None), REFERENCE) == "No run is finished."
