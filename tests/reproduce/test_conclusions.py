from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

import pytest
from pipeline.reproduce.conclusions import CONCLUSIONS, Conclusion, Decision, Judgement

from pipeline.config.schema import Config
from tests.reproduce.hand_made import REFERENCE, Curves, Outcome, as_printed, make

FASTER, HIGHER, NOTHING, TOLERANT, DROPOUT, SENSITIVE = CONCLUSIONS

Level = Callable[[int], float]
"""An accuracy by seed."""


def around(mean: float, spread: float = 0.001) -> Level:
    """Seeds 0, 1 and 2 lie at mean - spread, mean and mean + spread."""
    return lambda seed: mean + spread * (seed - 1)


def losses(**levels: tuple[Level, Level]) -> Outcome:
    """By loss, the test accuracy after the first epoch and after the others."""

    def outcome(config: Config) -> Curves:
        first, last = (level(config.seed) for level in levels[config.loss.name])
        return {"test/accuracy": [first, last, last, last, last]}

    return outcome


def penalties(l1: Level, l2: Level, at: Collection[float] = (0.1,)) -> Outcome:
    """The accuracies at some λ; at the others it is .9."""

    def outcome(config: Config) -> float:
        if config.regularizer.strength not in at:
            return around(0.9)(config.seed)
        return (l1 if config.regularizer.name == "l1" else l2)(config.seed)

    return outcome


def dropout(gain: Level, gap: float, where: str = "input") -> Outcome:
    """What dropout adds to an accuracy of .8, and by how much the train accuracy is above it."""

    def outcome(config: Config) -> Curves:
        if (config.dropout.name, config.dropout.phase) != (where, "train"):
            return {}
        test = 0.8 + (gain(config.seed) if config.dropout.p_keep != 1 else 0)
        epochs = config.trainer.max_epochs
        return {"test/accuracy": [test] * epochs, "train/accuracy": [0.8 + gap] * epochs}

    return outcome


def overfits(gain: Level, gap: float) -> Outcome:
    return dropout(gain, gap, "hidden")


LARGE = (0.001, 0.005, 0.01, 0.1)
HIGH, LOW, UNSURE = around(0.9), around(0.8), around(0.8, 0.1)
EVEN, WORSE, BETTER = around(0, 0.02), around(-0.05), around(0.05)


class Case(NamedTuple):
    conclusion: Conclusion
    decision: Decision
    outcomes: dict[str, Outcome]


CASES = {
    "both losses start ahead": Case(
        FASTER,
        Decision.SUPPORTED,
        {"losses": losses(mse=(LOW, HIGH), ce=(LOW, HIGH), nll=(around(0.6), HIGH))},
    ),
    "it is the share of the end that counts": Case(
        FASTER,
        Decision.SUPPORTED,
        {"losses": losses(mse=(LOW, LOW), ce=(LOW, LOW), nll=(LOW, HIGH))},
    ),
    "mse starts behind": Case(
        FASTER,
        Decision.CONTRADICTED,
        {"losses": losses(mse=(around(0.5), HIGH), ce=(LOW, HIGH), nll=(around(0.7), HIGH))},
    ),
    "ce starts as often ahead as behind": Case(
        FASTER,
        Decision.UNDECIDED,
        {"losses": losses(mse=(HIGH, HIGH), ce=(UNSURE, HIGH), nll=(LOW, HIGH))},
    ),
    "both losses end above mse": Case(
        HIGHER,
        Decision.SUPPORTED,
        {"losses": losses(mse=(LOW, LOW), ce=(LOW, HIGH), nll=(LOW, HIGH))},
    ),
    "nll ends below mse": Case(
        HIGHER,
        Decision.CONTRADICTED,
        {"losses": losses(mse=(LOW, HIGH), ce=(LOW, around(0.95)), nll=(HIGH, LOW))},
    ),
    "nll ends as often above mse as below": Case(
        HIGHER,
        Decision.UNDECIDED,
        {"losses": losses(mse=(LOW, LOW), ce=(LOW, HIGH), nll=(LOW, UNSURE))},
    ),
    "with the largest λ nothing is learned": Case(
        NOTHING,
        Decision.SUPPORTED,
        {"penalties": penalties(around(0.1), around(0.15))},
    ),
    "with the largest λ of L2 much is learned": Case(
        NOTHING,
        Decision.CONTRADICTED,
        {"penalties": penalties(around(0.1), LOW)},
    ),
    "with the largest λ some seeds learn": Case(
        NOTHING,
        Decision.UNDECIDED,
        {"penalties": penalties(around(0.1), around(0.2, 0.05))},
    ),
    "L2 stays up": Case(
        TOLERANT,
        Decision.SUPPORTED,
        {"penalties": penalties(LOW, around(0.85), at=LARGE)},
    ),
    "L2 breaks down earlier": Case(
        TOLERANT,
        Decision.CONTRADICTED,
        {"penalties": penalties(HIGH, LOW, at=LARGE)},
    ),
    "L2 is up with the largest λ alone": Case(
        TOLERANT,
        Decision.UNDECIDED,
        {"penalties": penalties(LOW, around(0.85))},
    ),
    "L2 breaks down at one λ": Case(
        TOLERANT,
        Decision.CONTRADICTED,
        {"penalties": penalties(HIGH, LOW, at=(0.001,))},
    ),
    "L2 is up or down": Case(
        TOLERANT,
        Decision.UNDECIDED,
        {"penalties": penalties(LOW, UNSURE, at=LARGE)},
    ),
    "dropout costs here and helps where a network overfits": Case(
        DROPOUT,
        Decision.SUPPORTED,
        {"dropout": dropout(WORSE, 0.01), "claims": overfits(BETTER, 0.15)},
    ),
    "dropout changes nothing here and helps where a network overfits": Case(
        DROPOUT,
        Decision.SUPPORTED,
        {"dropout": dropout(EVEN, 0.01), "claims": overfits(BETTER, 0.15)},
    ),
    "dropout helps here": Case(
        DROPOUT,
        Decision.CONTRADICTED,
        {"dropout": dropout(BETTER, 0.01), "claims": overfits(BETTER, 0.15)},
    ),
    "dropout never helps": Case(
        DROPOUT,
        Decision.UNDECIDED,
        {"dropout": dropout(WORSE, 0.01), "claims": overfits(WORSE, 0.15)},
    ),
    "dropout may or may not help where a network overfits": Case(
        DROPOUT,
        Decision.UNDECIDED,
        {"dropout": dropout(WORSE, 0.01), "claims": overfits(EVEN, 0.15)},
    ),
    "the other network overfits no more": Case(
        DROPOUT,
        Decision.UNDECIDED,
        {"dropout": dropout(WORSE, 0.04), "claims": overfits(BETTER, 0.15)},
    ),
    "λ and p(keep) move the accuracy": Case(
        SENSITIVE,
        Decision.SUPPORTED,
        {"penalties": penalties(LOW, LOW), "dropout": dropout(WORSE, 0.0)},
    ),
    "p(keep) moves nothing": Case(
        SENSITIVE,
        Decision.UNDECIDED,
        {"penalties": penalties(LOW, LOW), "dropout": dropout(around(0), 0.0)},
    ),
    "λ moves it no more than the seeds do": Case(
        SENSITIVE,
        Decision.UNDECIDED,
        {"penalties": penalties(around(0.896), LOW), "dropout": dropout(WORSE, 0.0)},
    ),
}


def decide(
    conclusion: Conclusion, outcomes: Mapping[str, Outcome], *overrides: str, num_seeds: int = 3
) -> Judgement:
    studies = {
        name: make(name, outcomes[name], *overrides, num_seeds=num_seeds)
        for name in conclusion.studies
    }
    return conclusion.judge(studies, REFERENCE)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_statement_is_decided_by_the_runs(case: Case):
    found = decide(case.conclusion, case.outcomes)
    assert found.decision is case.decision
    assert found.statement == case.conclusion.statement
    assert "nan" not in found.evidence


def plain(config: Config) -> Curves:
    return as_printed(config) if config.tracking.experiment_name != "claims" else {}


ALL = {name: plain for conclusion in CONCLUSIONS for name in conclusion.studies}


@pytest.mark.parametrize(
    ("conclusion", "study"),
    [(conclusion, study) for conclusion in CONCLUSIONS for study in conclusion.studies],
    ids=[
        f"{conclusion.statement[:30]}: {study}"
        for conclusion in CONCLUSIONS
        for study in conclusion.studies
    ],
)
def test_a_statement_waits_for_every_run(conclusion: Conclusion, study: str):
    def all_but_one(config: Config) -> Curves | None:
        is_last = (config.seed, config.dropout.p_keep) in [(2, None), (2, 0.5)]
        is_it = is_last and config.regularizer.strength in (0, 0.01)
        return None if is_it else plain(config)

    found = decide(conclusion, ALL | {study: all_but_one})
    num_missing = {"losses": 3, "penalties": 4, "dropout": 6, "claims": 1}[study]
    assert found.decision is Decision.MISSING
    assert found.evidence.startswith(f"{num_missing} of ")


@pytest.mark.parametrize(
    "conclusion", CONCLUSIONS, ids=[conclusion.statement[:30] for conclusion in CONCLUSIONS]
)
def test_runs_of_fewer_epochs_than_the_texts_decide_nothing(conclusion: Conclusion):
    outcomes: dict[str, Outcome] = dict.fromkeys(ALL, lambda _: 0.9)
    found = decide(conclusion, outcomes, "trainer.max_epochs=4", num_seeds=1)
    assert found.decision is Decision.MISSING
    assert "4 epochs" in found.evidence


@pytest.mark.parametrize(
    "conclusion", CONCLUSIONS, ids=[conclusion.statement[:30] for conclusion in CONCLUSIONS]
)
def test_runs_that_stopped_early_decide_nothing(conclusion: Conclusion):
    def outcome(config: Config) -> Curves:
        del config
        return {"test/accuracy": [0.9, 0.9], "train/accuracy": [0.9, 0.9]}

    decision = decide(conclusion, dict.fromkeys(ALL, outcome)).decision
    assert decision in (Decision.MISSING, Decision.UNDECIDED)


@pytest.mark.parametrize("name", ["both losses start ahead", "L2 stays up"])
def test_a_single_seed_decides_no_difference(name: str):
    case = CASES[name]
    found = decide(case.conclusion, case.outcomes, num_seeds=1)
    assert found.decision is Decision.UNDECIDED


@pytest.mark.parametrize("conclusion", [HIGHER, TOLERANT, DROPOUT, SENSITIVE])
def test_what_a_single_seed_cannot_tell_is_not_printed(conclusion: Conclusion):
    assert "nan" not in decide(conclusion, ALL, num_seeds=1).evidence


def test_runs_that_all_give_the_same_support_nothing():
    outcomes: dict[str, Outcome] = dict.fromkeys(ALL, lambda _: 0.9)
    decisions = {
        conclusion.statement: decide(conclusion, outcomes).decision for conclusion in CONCLUSIONS
    }
    assert decisions.pop(NOTHING.statement) is Decision.CONTRADICTED
    assert set(decisions.values()) == {Decision.UNDECIDED}


def test_the_evidence_is_the_paired_difference_with_its_interval():
    by_seed = {0: 0.01, 1: 0.02, 2: 0.03}

    def outcome(config: Config) -> float:
        lead = by_seed[config.seed] if config.loss.name == "nll" else 0
        return 0.8 + 0.05 * config.seed + lead + (0.04 if config.loss.name == "ce" else 0)

    found = decide(HIGHER, {"losses": outcome})
    assert found.evidence == "nll - mse: +2.00 ± 2.48 points; ce - mse: +4.00 ± 0.00 points"
    assert found.decision is Decision.UNDECIDED


def test_the_evidence_shows_the_ranges_at_the_largest_penalty():
    found = decide(NOTHING, {"penalties": penalties(around(0.1, 0.02), around(0.6))})
    assert found.evidence.startswith(
        "test accuracy at λ = 0.1: L1 0.080 to 0.120; L2 0.599 to 0.601"
    )


def test_the_evidence_on_dropout_tells_both_networks_apart():
    studies = {"dropout": dropout(WORSE, 0.01), "claims": overfits(BETTER, 0.15)}
    found = decide(DROPOUT, studies).evidence
    here, there = found.split("A network that does overfit")
    assert here.count("-5.00 ± 0.25 points at p(keep) = ") == 6
    assert "without it: +1.00 ± 0.00 points" in here
    assert "gap +15.00 ± 0.00 points" in there
    assert there.count("+5.00 ± 0.25 points at p(keep) = ") == 2
