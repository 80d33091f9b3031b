"""Claims: what the runs decide, and what the published numbers say of them themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pipeline.reproduce.claims import Decision, Judgement, judge_claims, printed
from pipeline.reproduce.runs import StudyJob
from pipeline.reproduce.study import Study
from tests.reproduce.hand_made import (
    FAST,
    MIDDLE,
    SLOW,
    Curves,
    Outcome,
    config_of,
    make,
    noise,
    own,
    shipped,
)


def claiming(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"says": f"claim of {len(parts)}", "all": list(parts)}


def study(*parts: dict[str, Any], **entries: object) -> Study:
    return own(claims=[claiming(*parts)], **entries)


def judged(of_study: Study, outcome: Outcome, num_seeds: int = 10) -> Judgement:
    (judgement,) = judge_claims(of_study, make(of_study, outcome, num_seeds=num_seeds))
    return judgement


FASTER = {"higher": FAST, "lower": SLOW}


def rising(by: float, spread: float = 0.002) -> Outcome:
    """The test accuracy rises with the rate: by so much from the least to the largest."""

    def outcome(entry: StudyJob) -> float:
        lead = (config_of(entry).optimizer.lr - 0.1) / 0.2 * by
        return 0.8 + lead + spread * noise(entry) + 0.1 * noise(entry, common=True)

    return outcome


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        (0.01, Decision.SUPPORTED),
        (-0.01, Decision.CONTRADICTED),
        (0.0, Decision.UNDECIDED),
    ],
)
def test_a_claim_is_decided_by_pairs_of_runs(by: float, expected: Decision):
    """What the runs of a seed have in common is 50 times what sets them apart."""
    assert judged(study(FASTER), rising(by)).decision is expected


def test_a_claim_holds_if_all_of_it_does_and_fails_if_one_part_does():
    both = study(FASTER, {"higher": FAST, "lower": MIDDLE})
    assert judged(both, rising(0.02)).decision is Decision.SUPPORTED
    other = study(FASTER, {"higher": SLOW, "lower": MIDDLE})
    assert judged(other, rising(0.02)).decision is Decision.CONTRADICTED
    unsure = study(FASTER, {"higher": MIDDLE, "lower": MIDDLE | {"grid": "rates"}})
    assert judged(unsure, rising(0.02)).decision is Decision.UNDECIDED


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        (0.03, Decision.SUPPORTED),
        (0.05, Decision.UNDECIDED),
        (0.07, Decision.CONTRADICTED),
        (-0.01, Decision.SUPPORTED),
    ],
)
def test_a_lead_must_exceed_what_the_claim_asks_for(by: float, expected: Decision):
    found = judged(study({**FASTER, "by": by}), rising(0.05, spread=0.004))
    assert found.decision is expected
    assert f"(must exceed {100 * by:g})" in found.evidence


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"higher": FAST, "lower": 0.85}, Decision.SUPPORTED),
        ({"higher": 0.95, "lower": FAST}, Decision.SUPPORTED),
        ({"higher": FAST, "lower": 0.95}, Decision.CONTRADICTED),
        ({"higher": 0.85, "lower": FAST}, Decision.CONTRADICTED),
    ],
)
def test_a_cell_is_compared_with_a_number(part: dict[str, Any], expected: Decision):
    assert judged(study(part), lambda entry: 0.9 + 0.001 * noise(entry)).decision is expected


def test_seeds_that_all_gave_the_same_decide():
    def rates(entry: StudyJob) -> float:
        return config_of(entry).optimizer.lr

    assert judged(study(FASTER), rates).decision is Decision.SUPPORTED
    assert judged(study({**FASTER, "by": 0.3}), rates).decision is Decision.CONTRADICTED
    assert judged(study(FASTER), lambda _: 0.9).decision is not Decision.SUPPORTED


def curves(entry: StudyJob) -> Curves:
    """Of a fast rate the accuracy is there at once; and it overfits."""
    is_fast = config_of(entry).optimizer.lr == 0.3
    start, jitter = (0.8 if is_fast else 0.4), 0.001 * noise(entry)
    return {
        "test/accuracy": [start + jitter, 0.82, 0.84, 0.86, 0.9 - 0.05 * is_fast + jitter],
        "train/accuracy": [0.5, 0.6, 0.7, 0.8, 0.95 + 0.03 * is_fast],
    }


@pytest.mark.parametrize(
    ("worth", "expected"),
    [
        ({}, Decision.CONTRADICTED),
        ({"epoch": 1}, Decision.SUPPORTED),
        ({"epoch": 1, "share_of_epoch": 5}, Decision.SUPPORTED),
        ({"share_of_epoch": 1}, Decision.CONTRADICTED),
        ({"metric": "train/accuracy"}, Decision.SUPPORTED),
        ({"metric": "train/accuracy", "less": "test/accuracy"}, Decision.SUPPORTED),
        ({"metric": "test/accuracy", "less": "train/accuracy"}, Decision.CONTRADICTED),
    ],
)
def test_what_a_run_is_worth_is_what_the_claim_says(worth: dict[str, Any], expected: Decision):
    found = judged(study({**FASTER, "worth": worth}), curves)
    assert found.decision is expected


@pytest.mark.parametrize(
    ("worth", "texts"),
    [
        ({}, ["test accuracy, in points: 0.3 less 0.1: -4.9"]),
        ({"epoch": 1}, ["test accuracy after epoch 1, in points: 0.3 less 0.1: +40."]),
        ({"metric": "test/loss"}, ["test loss: 0.3 less 0.1: +0.0000"]),
        (
            {"metric": "train/accuracy", "less": "test/accuracy"},
            ["train accuracy less test accuracy", "in points: 0.3 less 0.1: +7.9"],
        ),
        (
            {"epoch": 1, "share_of_epoch": 5},
            ["share of the test accuracy at the end of epoch 5 after epoch 1: 0.3 less 0.1: +0.49"],
        ),
    ],
)
def test_the_evidence_says_what_was_measured(worth: dict[str, Any], texts: list[str]):
    found = judged(study({**FASTER, "worth": worth}), curves)
    for text in texts:
        assert text in found.evidence


def test_every_part_of_the_evidence_is_told_by_its_own_measure():
    """A loss isn't in points, nor is it an accuracy."""
    loss = {**FASTER, "worth": {"metric": "train/loss"}}
    found = judged(study({"higher": FAST, "lower": MIDDLE}, loss), rising(0.02))
    assert "test accuracy" in found.evidence
    assert "train loss" in found.evidence
    assert "0.3 less 0.1: +0.0000" in found.evidence


@pytest.mark.parametrize(
    ("spread", "expected"),
    [(0.03, Decision.SUPPORTED), (0.003, Decision.CONTRADICTED), (0.01, Decision.UNDECIDED)],
)
def test_the_seeds_of_a_cell_are_said_to_differ(spread: float, expected: Decision):
    part = {"spread": MIDDLE, "exceeds": 0.01}
    found = judged(study(part), lambda entry: 0.8 + spread * noise(entry), 20)
    assert found.decision is expected
    assert "standard deviation over the seeds of 0.2" in found.evidence


def test_a_spread_is_above_its_bound_by_chance_in_5_percent_of_studies():
    part = {"spread": {}, "exceeds": 0.01}
    of_study = study(part, grids={"one": ["optimizer.lr=0.1"]})
    rng = np.random.default_rng(0)
    found = [judged(of_study, lambda _: float(rng.normal(0.8, 0.01))).decision for _ in range(300)]
    wrong = sum(one is not Decision.UNDECIDED for one in found)
    assert wrong / 300 == pytest.approx(0.05, abs=0.03)


PARTS = [FASTER, {"higher": FAST, "lower": 0.9}, {"spread": FAST, "exceeds": 0.01}]


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("num_seeds", [1, 2])
def test_few_seeds_decide_nothing(part: dict[str, Any], num_seeds: int):
    found = judged(study(part), rising(0.1, spread=0), num_seeds)
    assert found.decision is Decision.TOO_FEW
    assert "nan" not in found.evidence


@pytest.mark.parametrize("part", PARTS)
def test_a_run_that_is_missing_leaves_a_claim_open(part: dict[str, Any]):
    def without_one(entry: StudyJob) -> Curves | float | None:
        is_it = (config_of(entry).seed, config_of(entry).optimizer.lr) == (2, 0.3)
        return None if is_it else rising(0.1)(entry)

    assert judged(study(part), without_one).decision is Decision.MISSING
    nothing = judged(study(part), lambda _: None)
    assert nothing.decision is Decision.MISSING
    assert nothing.evidence.endswith("no runs")


def test_an_epoch_that_runs_did_not_reach_or_did_not_measure_is_missing():
    late = study({**FASTER, "worth": {"epoch": 9}})
    assert judged(late, rising(0.1)).decision is Decision.MISSING
    nan = float("nan")

    def rare(entry: StudyJob) -> Curves:
        return {"test/accuracy": [nan, config_of(entry).optimizer.lr, nan, 0.9, 0.9]}

    unmeasured = study({**FASTER, "worth": {"epoch": 1}})
    assert judged(unmeasured, rare).decision is Decision.MISSING
    assert judged(study({**FASTER, "worth": {"epoch": 2}}), rare).decision is Decision.SUPPORTED


def family(num_idle: int) -> Study:
    """A claim, and others beside it of which nothing is true."""
    idle = [claiming({"higher": MIDDLE, "lower": MIDDLE}) for _ in range(num_idle)]
    return own(claims=[claiming(FASTER), *idle])


def test_among_many_claims_one_must_be_surer():
    """Holm: the chance that any of a study's claims is decided wrongly stays at 5 %."""
    outcome = rising(0.0025)
    alone, among = family(0), family(30)
    first = judge_claims(alone, make(alone, outcome, num_seeds=10))[0]
    assert first.decision is Decision.SUPPORTED
    again = judge_claims(among, make(among, outcome, num_seeds=10))[0]
    assert again.decision is Decision.UNDECIDED
    assert again.evidence == first.evidence


def test_a_claim_without_runs_takes_nothing_from_the_others():
    outcome = rising(0.0025)
    late = {**FASTER, "worth": {"epoch": 9}}
    of_study = own(claims=[claiming(FASTER), *[claiming(late)] * 30])
    found = judge_claims(of_study, make(of_study, outcome, num_seeds=10))
    assert [one.decision for one in found] == [Decision.SUPPORTED, *[Decision.MISSING] * 30]


def test_the_text_contradicts_its_own_claim_on_what_converges_faster():
    faster, higher = shipped("losses").claims
    assert "converge faster" in faster.says
    assert printed(shipped("losses"), faster).startswith("contradict it: -0.05")
    assert printed(shipped("losses"), higher) == "say so: +0.0171; +0.0147"


def test_the_texts_penalties_say_what_it_claims_of_them():
    study_ = shipped("penalties")
    said = {claim.says: printed(study_, claim) for claim in study_.claims}
    (tolerant,) = [text for claim, text in said.items() if "more tolerant" in claim]
    assert tolerant.startswith("say so: +0.0277; +0.058")
    (sensitive,) = [text for says, text in said.items() if says.startswith("the final results")]
    assert sensitive == "say so: +0.8045; +0.0992"


def test_what_was_not_printed_says_nothing():
    published = [{"label": "slow", "where": SLOW, "values": [0.8]}]
    for part in (
        FASTER,
        {"higher": 0.9, "lower": FAST},
        {"higher": 0.9, "lower": SLOW, "worth": {"metric": "test/loss"}},
        {"higher": 0.9, "lower": SLOW, "worth": {"epoch": 1}},
        {"spread": SLOW, "exceeds": 0.1},
    ):
        of_study = study(part, published=published)
        assert printed(of_study, of_study.claims[0]) == ""
    of_study = study({"higher": 0.9, "lower": SLOW, "by": 0.2}, published=published)
    assert printed(of_study, of_study.claims[0]) == "contradict it: +0.1000"
