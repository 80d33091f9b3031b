"""An answer says of simulated runs, whose truth is known, what is true, and no more."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest
from scipy import stats

from pipeline.comparison.answer import answer
from pipeline.comparison.comparison import Answer, Row, Verdict
from pipeline.comparison.question import Question
from pipeline.comparison.words import sentences
from pipeline.errors import UserError
from pipeline.tracking.record import RunResult
from tests.comparison.hand_made import Score, grid, run, subject

LOSSES = [{"loss.name": name} for name in ("mse", "ce", "nll")]
EFFECTS = {"mse": -0.02, "ce": 0.0, "nll": 0.0}


def noisy(effects: Mapping[str, float], *, shared: float = 0.01, own: float = 0.001) -> Score:
    """Accuracies with a known effect of the loss, luck of the seed and luck of the run."""

    def score(values: Mapping[str, str], seed: int) -> float:
        name = values["loss.name"]
        of_seed = np.random.default_rng(seed).normal(0, shared)
        of_run = np.random.default_rng([seed, len(name), ord(name[0])]).normal(0, own)
        return 0.9 + effects[name] + of_seed + of_run

    return score


def asked(
    runs: list[RunResult],
    *,
    by: list[str] | None = None,
    baseline: str | None = None,
    metric: str | None = None,
    margin: float | None = None,
) -> Answer:
    return answer(subject(runs), Question(metric, by, baseline, margin))


def row(found: Answer, **values: str) -> Row:
    (only,) = [it for it in found.cells.rows if list(it.values.values()) == list(values.values())]
    return only


def test_a_difference_that_is_there_is_told_with_its_size_though_seeds_differ_by_more():
    found = asked(grid(LOSSES, 10, noisy(EFFECTS)))
    assert found.cells.baseline.values == {"loss.name": "nll"}  # the config's default
    mse = row(found, loss="mse")
    assert mse.verdict is Verdict.WORSE
    assert mse.difference is not None
    assert mse.difference.low < -0.02 < mse.difference.high
    assert mse.mean.half_width > 3 * (mse.difference.high - mse.difference.value)  # pairing pays


def test_no_difference_is_the_same_or_not_decided_but_never_better():
    found = asked(grid(LOSSES, 10, noisy(EFFECTS)))
    assert row(found, loss="ce").verdict is Verdict.SAME
    vague = asked(grid(LOSSES, 5, noisy(EFFECTS, own=0.02)))
    ce = row(vague, loss="ce")
    assert ce.verdict is Verdict.UNDECIDED
    assert ce.seeds_needed is not None
    assert ce.seeds_needed > 5


def test_numbers_are_those_of_scipy():
    runs = grid(LOSSES, 6, noisy(EFFECTS))
    found = asked(runs)
    scores = {
        name: [it.metrics["val/accuracy"] for it in runs if it.params["loss.name"] == name]
        for name in EFFECTS
    }
    ce, mse = row(found, loss="ce"), row(found, loss="mse")
    low, high = stats.t.interval(0.95, 5, np.mean(scores["ce"]), stats.sem(scores["ce"]))
    assert (ce.mean.low, ce.mean.high) == pytest.approx((low, high))
    p = {name: stats.ttest_rel(scores[name], scores["nll"]).pvalue for name in ("ce", "mse")}
    assert ce.p == pytest.approx(max(p["ce"], min(1, 2 * p["mse"])))
    assert mse.p == pytest.approx(min(1, 2 * p["mse"]))
    assert ce.gap.value == pytest.approx(0.02)


def test_nothing_is_said_over_holes():
    runs = grid(LOSSES, 5, noisy(EFFECTS))
    failed = run(LOSSES[0], 5, 0.0, status="FAILED", error="training diverged")
    found = asked([*runs, failed])
    assert row(found, loss="mse").verdict is Verdict.INCOMPLETE
    assert row(found, loss="mse").difference is None
    assert row(found, loss="ce").verdict is not Verdict.INCOMPLETE
    assert any("1 run diverged" in note for note in found.notes)


def test_over_a_hole_in_the_baseline_nothing_is_said_of_any():
    runs = grid(LOSSES, 5, noisy(EFFECTS))
    failed = run(LOSSES[2], 5, 0.0, status="FAILED")
    found = asked([*runs, failed])
    assert {it.verdict for it in found.cells.rows} == {Verdict.BASELINE, Verdict.INCOMPLETE}


def test_one_seed_decides_nothing_and_says_how_many_would():
    runs = grid(LOSSES, 1, noisy(EFFECTS))
    command = "python -m pipeline -m loss=mse,ce,nll seed=0"
    found = answer(subject(runs, asked_for=runs, command=command))
    assert row(found, loss="mse").verdict is Verdict.UNDECIDED
    assert math.isnan(row(found, loss="mse").mean.low)
    assert any("One seed" in note for note in found.notes)
    assert found.commands["more seeds"] == (
        "python -m pipeline -m loss=mse,ce,nll 'seed=range(0,5)' resume=any"
    )


def test_the_command_for_more_seeds_takes_as_many_as_the_widest_open_difference_needs():
    runs = grid(LOSSES, 5, noisy(EFFECTS | {"mse": 0.0}, own=0.01))
    command = "python -m pipeline -m loss=mse,ce,nll 'seed=range(0,5)' resume=last"
    found = answer(subject(runs, asked_for=runs, command=command), Question(margin=0.01))
    needed = [it.seeds_needed for it in found.cells.rows if it.verdict is Verdict.UNDECIDED]
    most = max(number for number in needed if number is not None)
    assert found.commands["more seeds"] == (
        f"python -m pipeline -m loss=mse,ce,nll 'seed=range(0,{most})' resume=any"
    )


def test_no_fewer_seeds_are_asked_for_than_there_are():
    """One row whose difference is neither 0 nor as large as the margin may stay open."""

    def score(values: Mapping[str, str], seed: int) -> float:
        return 0.9 + (0.001 + 0.0023 * (-1) ** seed if values["loss.name"] == "ce" else 0.0)

    found = answer(subject(grid([{"loss.name": "nll"}, {"loss.name": "ce"}], 20, score)))
    it = row(found, loss="ce")
    assert (it.verdict, it.seeds_needed) == (Verdict.UNDECIDED, None)


def test_a_cell_whose_runs_all_failed_makes_no_other_one_small():
    runs = grid(LOSSES[:2], 5, noisy(EFFECTS))
    failed = [run({"loss.name": "nll"}, seed, 0.0, status="FAILED") for seed in range(5)]
    notes = answer(subject([*runs, *failed])).notes
    assert not any("seeds a cell" in note or "One seed" in note for note in notes)


KEYS = [
    {"loss.name": loss, "optimizer.lr": rate, "model.hidden": hidden}
    for loss in ("mse", "nll")
    for rate in ("0.1", "0.5")
    for hidden in ("[]", "[30]")
]


def test_by_some_keys_every_sentence_says_over_what_it_is_averaged():
    def score(values: Mapping[str, str], seed: int) -> float:
        return 0.9 + (0.02 + seed / 1e4) * (values["loss.name"] == "nll")

    found = answer(subject(grid(KEYS, 5, score)), Question(by=["loss", "lr"]))
    assert found.averaged_over == ["hidden"]
    told = [sentence for sentence in sentences(found) if "veraged over" in sentence]
    assert [it.partition(", ")[0] for it in told] == [
        "Averaged over lr",
        "Averaged over loss",
        "Averaged over hidden",
    ]


def test_a_key_one_of_whose_values_never_finished_has_no_table_and_a_note_says_so():
    runs = grid(KEYS, 5, lambda _, seed: 0.9 + seed / 1e3)
    left = [it for it in runs if it.params["optimizer.lr"] == "0.1"]
    failed = [
        run(values, 0, 0.0, status="FAILED") for values in KEYS if values["optimizer.lr"] == "0.5"
    ]
    found = answer(subject([*left, *failed]))
    assert any(note.startswith("lr has no table of its own") for note in found.notes)


def test_of_a_search_the_best_trial_is_what_more_seeds_are_for():
    runs = grid(LOSSES, 1, noisy(EFFECTS))
    command = "python -m pipeline -m 'loss=choice(mse,ce,nll)' root=here seed=3"
    best = max(runs, key=lambda run: run.metrics["val/accuracy"]).params["loss.name"]
    assert answer(subject(runs, command=command)).commands == {
        "more seeds": f"python -m pipeline -m loss={best} root=here 'seed=range(1,6)'"
    }


def test_what_is_missing_is_brought_by_resume():
    runs = grid(LOSSES, 3, noisy(EFFECTS))
    command = "python -m pipeline -m loss=mse,ce,nll 'seed=range(0,3)'"
    found = answer(subject(runs[:-1], asked_for=runs, command=command))
    assert found.commands["the missing runs"] == f"{command} resume=01234567"


def test_validation_chooses_and_the_test_examples_only_report():
    def score(values: Mapping[str, str], seed: int) -> float:
        return {"mse": 0.95, "ce": 0.93, "nll": 0.90}[values["loss.name"]] + seed / 1e4

    runs = grid(LOSSES, 5, score)
    for it in runs:  # on the test examples the order is the other way round
        it.metrics["test/accuracy"] = 1 - it.metrics["test/accuracy"]
    found = asked(runs)
    assert found.chosen is not None
    assert found.chosen.row.values == {"loss.name": "mse"}
    assert found.chosen.row.test.value == pytest.approx(1 - 0.95 + 0.01, abs=1e-3)
    assert found.chosen.best_run.params["seed"] == "4"


def test_the_lead_of_the_best_of_many_that_are_alike_is_what_chance_gives():
    cells = [{"loss.name": "nll", "model.hidden": f"[{i}]"} for i in range(40)]

    def score(values: Mapping[str, str], seed: int) -> float:
        number = int(values["model.hidden"].strip("[]"))
        return 0.9 + np.random.default_rng([seed, number]).normal(0, 0.01)

    found = asked(grid(cells, 5, score))
    assert found.chosen is not None
    lead = found.chosen.row.mean.value - found.chosen.mean_of_cells
    by_chance = found.chosen.expected_if_alike - found.chosen.mean_of_cells
    assert lead > 0.005  # "best of 40", and there is nothing in it
    assert by_chance == pytest.approx(lead, rel=0.4)


def test_a_test_metric_chooses_nothing():
    found = asked(grid(LOSSES, 3, noisy(EFFECTS)), metric="test/accuracy")
    assert found.metric == "test/accuracy"
    assert any("test examples" in note for note in found.notes)


def test_without_validation_examples_nothing_is_chosen():
    runs = grid(LOSSES, 3, noisy(EFFECTS))
    for it in runs:
        del it.metrics["val/accuracy"], it.metrics["val/loss"]
    found = asked(runs)
    assert (found.metric, found.chosen) == ("test/accuracy", None)


# Several keys.

TWO_KEYS = [
    {"loss.name": loss, "optimizer.lr": rate} for loss in ("mse", "nll") for rate in ("0.1", "0.5")
]
RATES = {"0.1": -0.03, "0.5": 0.0}


def additive(values: Mapping[str, str], seed: int) -> float:
    return noisy(EFFECTS)(values, seed) + RATES[values["optimizer.lr"]]


def test_each_value_is_averaged_over_the_other_keys():
    found = asked(grid(TWO_KEYS, 8, additive))
    of_loss, of_rate = found.effects
    assert [it.values for it in of_loss.rows] == [{"loss.name": "mse"}, {"loss.name": "nll"}]
    (mse,) = [it for it in of_loss.rows if it is not of_loss.baseline]
    (low_rate,) = [it for it in of_rate.rows if it is not of_rate.baseline]
    assert mse.difference is not None
    assert low_rate.difference is not None
    assert mse.difference.value == pytest.approx(-0.02, abs=0.002)
    assert low_rate.difference.value == pytest.approx(-0.03, abs=0.002)
    assert mse.difference.num_pairs == 8


def test_an_average_leaves_out_combinations_that_are_not_whole():
    runs = grid(TWO_KEYS, 5, additive)[:-1]  # one run of nll at 0.5
    lacking = run(TWO_KEYS[-1], 4, 0.0, status="FAILED")
    found = asked([*runs, lacking], by=["loss"])
    assert [len(it.runs) for it in found.cells.rows] == [5, 5]  # those at 0.1


def test_by_chooses_the_keys():
    found = asked(grid(TWO_KEYS, 5, additive), by=["lr"])
    assert [it.values for it in found.cells.rows] == [
        {"optimizer.lr": "0.1"},
        {"optimizer.lr": "0.5"},
    ]
    assert found.effects == []
    assert found.chosen is not None
    assert found.chosen.num_cells == 4


@pytest.mark.parametrize(
    ("typed", "values"),
    [
        ("mse", ["mse", "0.5"]),
        ("loss=mse lr=0.1", ["mse", "0.1"]),
        ("optimizer.lr=0.1,loss.name=nll", ["nll", "0.1"]),
    ],
)
def test_the_baseline_is_the_cell_that_was_named(typed: str, values: list[str]):
    found = asked(grid(TWO_KEYS, 3, additive), baseline=typed)
    assert list(found.cells.baseline.values.values()) == values


# What can't be answered.


@pytest.mark.parametrize(
    ("question", "words"),
    [
        (Question(metric="val/accurcy"), ["val/accurcy", "Did you mean val/accuracy?"]),
        (Question(metric="val/loss"), ["val/loss", "different kinds", "loss.name"]),
        (Question(by=["los"]), ["los", "Did you mean loss?"]),
        (Question(baseline="loss=mce"), ["mce", "must be one of"]),
        (Question(baseline="rate=0.1"), ["rate", "must be one of"]),
    ],
)
def test_what_cannot_be_answered_is_told_with_what_can(question: Question, words: list[str]):
    with pytest.raises(UserError) as error:
        answer(subject(grid(TWO_KEYS, 2, additive)), question)
    assert all(word in str(error.value) for word in words)


def test_a_margin_is_above_0():
    with pytest.raises(UserError, match="--margin 0: must be a number > 0"):
        Question(margin=0)


def test_without_a_finished_run_there_is_no_answer():
    with pytest.raises(UserError, match="none of its 1 runs is finished"):
        answer(subject([run(LOSSES[0], 0, 0.0, status="FAILED")]))


def test_differing_code_is_told():
    runs = [run(LOSSES[i], seed, 0.9, code="ab"[i]) for i in (0, 1) for seed in (0, 1)]
    assert any("different code: hashes a, b" in note for note in asked(runs).notes)


@pytest.mark.parametrize(
    ("files", "are_told"), [(("a.csv", "a.csv"), True), (("a.csv", "b.csv"), False)]
)
def test_differing_data_are_told_unless_they_are_what_is_compared(
    files: tuple[str, str], are_told: bool
):
    runs = [
        run({"loss.name": name, "data.path": f"/home/me/{file}"}, seed, 0.9)
        for name, file in zip(("mse", "nll"), files, strict=True)
        for seed in (0, 1)
    ]
    for it in runs:
        it.tags["data_hash"] = it.params["loss.name"]
    told = "The runs come of different data by the name a.csv: mse, nll."
    assert (told in asked(runs).notes) == are_told


def test_a_loss_is_better_when_it_is_lower():
    cells = [{"loss.name": "nll", "optimizer.lr": rate} for rate in ("0.1", "0.5")]
    found = asked(grid(cells, 6, additive), metric="val/loss")
    (low_rate,) = [it for it in found.cells.rows if it is not found.cells.baseline]
    assert low_rate.verdict is Verdict.WORSE
    assert low_rate.mean.value > found.cells.baseline.mean.value
    assert found.chosen is not None
    assert found.chosen.row.values == {"optimizer.lr": "0.5"}
