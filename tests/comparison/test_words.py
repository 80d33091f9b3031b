"""What is said follows from the numbers, in words that one can repeat."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from pipeline.comparison.answer import answer
from pipeline.comparison.words import method, sentences
from tests.comparison.hand_made import Score, grid, run, subject

LOSSES = [{"loss.name": name} for name in ("mse", "nll")]


def lead(size: float, own: float = 0.0005) -> Score:
    """Accuracies of which nll's are higher by a size."""

    def score(values: Mapping[str, str], seed: int) -> float:
        is_nll = values["loss.name"] == "nll"
        return 0.9 + size * is_nll + np.random.default_rng([seed, is_nll]).normal(0, own)

    return score


def said(score: Score, num_seeds: int = 6) -> list[str]:
    return sentences(answer(subject(grid(LOSSES, num_seeds, score))))


@pytest.mark.parametrize(
    ("size", "first", "second"), [(0.02, "loss=nll", "loss=mse"), (-0.02, "loss=mse", "loss=nll")]
)
def test_the_better_one_comes_first_with_how_much_and_how_sure(
    size: float, first: str, second: str
):
    sentence = said(lead(size))[0]
    assert sentence.startswith(f"{first} is better than {second}: its validation accuracy is ")
    assert "points higher (95% interval +1." in sentence
    assert "6 seeds, paired; p < 0.001)" in sentence


def test_a_difference_that_does_not_matter_is_the_same():
    assert said(lead(0.0))[0].startswith("loss=mse is the same as loss=nll within ±0.20 points")


def test_what_is_open_is_not_decided_and_says_what_would_tell():
    sentence = said(lead(0.0, own=0.004))[0]
    assert sentence.startswith("Not decided against loss=nll: loss=mse (")
    assert "seeds would tell 0.20 points" in sentence


def test_one_seed_is_never_better():
    assert said(lead(0.5), num_seeds=1)[0].startswith("Not decided against loss=nll: loss=mse (−50")


def test_what_is_not_whole_is_not_compared():
    runs = [*grid(LOSSES, 3, lead(0.02)), run(LOSSES[0], 3, 0.0, status="FAILED")]
    sentence = sentences(answer(subject(runs)))[0]
    assert sentence == "Nothing is said of loss=mse, whose runs are not all finished."


def test_the_chosen_cell_is_told_with_its_test_result_and_what_luck_gives():
    told = " ".join(said(lead(0.02)))
    assert "Validation chooses loss=nll: 92.0" in told
    assert "the best of 2 means (their average is 91.0" in told
    assert "Its test accuracy is 91.0" in told
    assert "report the mean" in told


def test_many_cells_are_counted_and_only_the_extremes_told():
    cells = [{"loss.name": "nll", "optimizer.lr": f"{rate / 10}"} for rate in range(1, 31)]

    def score(values: Mapping[str, str], seed: int) -> float:
        rate = float(values["optimizer.lr"])
        return 0.9 + 0.01 * rate + np.random.default_rng([seed, int(10 * rate)]).normal(0, 1e-4)

    told = sentences(answer(subject(grid(cells, 5, score))))
    assert told[0] == "Of 29 rows beside the baseline, lr=0.5: 25 better, 4 worse."
    assert told[1].startswith("lr=3.0 is better than lr=0.5: ")
    assert told[2].startswith("lr=0.5 is better than lr=0.1: ")
    assert len(told) < 8


def test_the_method_names_the_test_and_the_margin():
    told = method(answer(subject(grid(LOSSES, 3, lead(0.02)))))
    assert all(word in told for word in ("paired t-test", "Holm", "95%", "±0.20 points"))
