"""What the problem set concludes from its results: each conclusion a test that the runs decide.

Differences are paired: two runs with the same seed start from the same weights and see the same
batches. A difference counts if the 95 % interval of its mean leaves out 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pipeline.reproduce.cells import (
    LAST_EPOCH,
    LOSS_NAMES,
    PENALTY_NAMES,
    at_epoch,
    dropout_where,
    penalty_where,
)
from pipeline.reproduce.reference import Reference
from pipeline.reproduce.runs import StudyRuns
from pipeline.reproduce.verdicts import ROUNDING, Estimate, paired_difference

__all__ = ["CONCLUSIONS", "Conclusion", "Decision", "Judgement"]

Studies = Mapping[str, StudyRuns]
Values = Sequence[float | None]

LEARNED_NOTHING = 0.2
"""Test accuracy below which a network has learned next to nothing: always answering 1 gives .11."""

LARGE_STRENGTH = 0.001
"""The least strength λ that counts as a large one."""

SENSITIVE = 5
"""Times the seeds' own spread by which parameters must move the accuracy to be called sensitive."""

OVERFITS = 5
"""Times the gap of the text's network by which that of another one must be larger to overfit."""


class Decision(StrEnum):
    """What the runs say of a conclusion."""

    SUPPORTED = "supported"
    CONTRADICTED = "contradicted"
    UNDECIDED = "not decided"
    MISSING = "runs missing"


@dataclass(frozen=True)
class Judgement:
    """A conclusion's statement, what the runs say of it, and the numbers."""

    statement: str
    decision: Decision
    evidence: str


@dataclass(frozen=True)
class Conclusion:
    """A statement of the text and the test that decides it."""

    statement: str
    studies: tuple[str, ...]
    """The studies whose runs it needs."""
    decide: Callable[[Studies, Reference], tuple[Decision, str]]

    def judge(self, studies: Studies, reference: Reference) -> Judgement:
        """Decide the statement, or say how many runs are missing."""
        missing = sum(len(studies[name].missing) for name in self.studies)
        epochs = min(studies[name].num_epochs for name in self.studies)
        decision, evidence = Decision.MISSING, f"{missing} of its runs are missing"
        if not missing and epochs < LAST_EPOCH:
            evidence = f"its runs have {epochs} epochs, of the text's {LAST_EPOCH}"
        elif not missing:
            decision, evidence = self.decide(studies, reference)
        return Judgement(self.statement, decision, evidence)


def _accuracies(runs: StudyRuns, where: Mapping[str, object], epoch: int = LAST_EPOCH) -> Values:
    return at_epoch(runs, where, "test/accuracy", epoch)


def _side(estimate: Estimate) -> int:
    """Return 1 if a mean is surely above 0, -1 if surely below, 0 if its interval holds 0."""
    if estimate.half_width >= abs(estimate.mean) or math.isnan(estimate.half_width):
        return 0
    return 1 if estimate.mean > 0 else -1


def _all_above(estimates: Sequence[Estimate]) -> Decision:
    """Return supported if all means are surely above 0, contradicted if one is surely below."""
    sides = [_side(estimate) for estimate in estimates]
    if all(side == 1 for side in sides):
        return Decision.SUPPORTED
    return Decision.CONTRADICTED if -1 in sides else Decision.UNDECIDED


def _points(estimate: Estimate) -> str:
    mean = f"{100 * estimate.mean:+.2f}"
    if math.isnan(estimate.half_width):
        return f"{mean} points (one seed, so no interval)"
    return f"{mean} ± {100 * estimate.half_width:.2f} points"


def _listed(estimates: Mapping[float, Estimate], symbol: str) -> str:
    return ", ".join(f"{_points(e)} at {symbol} = {value:g}" for value, e in estimates.items())


def _converge_faster(studies: Studies, _: Reference) -> tuple[Decision, str]:
    """Compare the share of the final accuracy that is there after the first epoch."""
    shares: dict[str, list[float]] = {}
    for name in LOSS_NAMES:
        first, last = (
            _accuracies(studies["losses"], {"loss.name": name}, epoch) for epoch in (1, LAST_EPOCH)
        )
        pairs = zip(first, last, strict=True)
        shares[name] = [a / b for a, b in pairs if a is not None and b is not None]
    leads = [paired_difference(shares[name], shares["nll"]) for name in ("mse", "ce")]
    evidence = ", ".join(f"{name} {Estimate.over(v).mean:.1%}" for name, v in shares.items())
    return _all_above(leads), (
        f"share of the final test accuracy that is reached after one epoch: {evidence}. (The "
        "losses themselves have different scales, so their curves don't say it.)"
    )


def _reach_higher(studies: Studies, _: Reference) -> tuple[Decision, str]:
    of = {name: _accuracies(studies["losses"], {"loss.name": name}) for name in LOSS_NAMES}
    leads = {name: paired_difference(of[name], of["mse"]) for name in ("nll", "ce")}
    texts = [f"{name} - mse: {_points(lead)}" for name, lead in leads.items()]
    return _all_above(list(leads.values())), "; ".join(texts)


def _learn_nothing(studies: Studies, reference: Reference) -> tuple[Decision, str]:
    largest = max(reference.penalties.strength)
    found = {
        label: Estimate.over(_accuracies(studies["penalties"], penalty_where(name, largest))).values
        for name, label in PENALTY_NAMES.items()
    }
    decision = Decision.UNDECIDED
    if any(min(values) > LEARNED_NOTHING for values in found.values()):
        decision = Decision.CONTRADICTED
    elif all(max(values) < LEARNED_NOTHING for values in found.values()):
        decision = Decision.SUPPORTED
    ranges = [f"{label} {min(v):.3f} to {max(v):.3f}" for label, v in found.items()]
    return decision, (
        f"test accuracy at λ = {largest:g}: {'; '.join(ranges)}; "
        f"{LEARNED_NOTHING} is next to nothing"
    )


def _l2_tolerates_more(studies: Studies, reference: Reference) -> tuple[Decision, str]:
    leads: dict[float, Estimate] = {}
    for strength in reference.penalties.strength:
        if strength >= LARGE_STRENGTH:
            l2, l1 = (
                _accuracies(studies["penalties"], penalty_where(name, strength))
                for name in ("l2", "l1")
            )
            leads[strength] = paired_difference(l2, l1)
    return _all_above(list(leads.values())), f"L2 - L1: {_listed(leads, 'λ')}"


def _dropout_does_not_help(studies: Studies, reference: Reference) -> tuple[Decision, str]:
    """Dropout gains nothing here, the network doesn't overfit, and where one does it gains."""
    here = _gains(studies["dropout"], "input", reference.dropout.p_keep, LAST_EPOCH)
    gap = _gap(studies["dropout"], "input", LAST_EPOCH)
    configs = [job.config for job in studies["claims"].jobs]
    last, tried = configs[0].trainer.max_epochs, {c.dropout.p_keep or 1.0 for c in configs}
    there = _gains(studies["claims"], "hidden", sorted(tried), last)
    large_gap = _gap(studies["claims"], "hidden", last)
    decision = Decision.UNDECIDED
    if any(_side(gain) == 1 for gain in here.values()):
        decision = Decision.CONTRADICTED
    elif large_gap.mean > OVERFITS * gap.mean and any(_side(gain) == 1 for gain in there.values()):
        decision = Decision.SUPPORTED
    return decision, (
        f"with dropout of the inputs, against none: {_listed(here, 'p(keep)')}; train less test "
        f"accuracy without it: {_points(gap)}. A network that does overfit (784-100-10 on 1,000 "
        f"images, gap {_points(large_gap)}) changes by {_listed(there, 'p(keep)')} with dropout of "
        "its hidden units"
    )


def _gains(
    runs: StudyRuns, place: str, p_keeps: Sequence[float], epoch: int
) -> dict[float, Estimate]:
    """Return by p_keep < 1 the gain of dropout while training over none, paired by seed."""
    by_p_keep = {
        p_keep: _accuracies(runs, dropout_where(place, "train", p_keep), epoch)
        for p_keep in (*p_keeps, 1.0)
    }
    without = by_p_keep.pop(1.0)
    return {p_keep: paired_difference(values, without) for p_keep, values in by_p_keep.items()}


def _gap(runs: StudyRuns, place: str, epoch: int) -> Estimate:
    """Return the accuracy on the training set less that on the test set, without dropout."""
    where = dropout_where(place, "train", 1.0)
    train = at_epoch(runs, where, "train/accuracy", epoch)
    return paired_difference(train, _accuracies(runs, where, epoch))


def _sensitive(studies: Studies, reference: Reference) -> tuple[Decision, str]:
    """Compare the range over λ and p_keep with the spread of the seeds at λ = 0."""
    penalties, dropout = studies["penalties"], studies["dropout"]
    columns = {
        f"λ of {label}": [
            _accuracies(penalties, penalty_where(name, strength))
            for strength in reference.penalties.strength
        ]
        for name, label in PENALTY_NAMES.items()
    }
    columns["p(keep)"] = [
        _accuracies(dropout, dropout_where("input", "train", p_keep))
        for p_keep in reference.dropout.p_keep
    ]
    means = {
        name: [Estimate.over(values).mean for values in column] for name, column in columns.items()
    }
    moves = {name: max(column) - min(column) for name, column in means.items()}
    spread = Estimate.over(_accuracies(penalties, penalty_where("l2", 0))).deviation
    is_sensitive = min(moves.values()) > SENSITIVE * spread + ROUNDING
    seeds = "of a single seed nobody knows"
    if not math.isnan(spread):
        seeds = f"seeds alone spread it by {100 * spread:.2f} (standard deviation)"
    texts = [f"{name} moves it by {100 * moved:.1f}" for name, moved in moves.items()]
    return Decision.SUPPORTED if is_sensitive else Decision.UNDECIDED, (
        f"points of test accuracy: {', '.join(texts)}; {seeds}"
    )


CONCLUSIONS = (
    Conclusion(
        "mean squared error and cross-entropy converge faster than softmax log-likelihood",
        ("losses",),
        _converge_faster,
    ),
    Conclusion(
        "with 5 epochs, log-likelihood and cross-entropy reach a higher test accuracy than mean "
        "squared error",
        ("losses",),
        _reach_higher,
    ),
    Conclusion(
        "networks with a penalty learn nothing when λ becomes too large",
        ("penalties",),
        _learn_nothing,
    ),
    Conclusion("L2 is more tolerant of a large λ than L1", ("penalties",), _l2_tolerates_more),
    Conclusion(
        "dropout doesn't improve the test accuracy because the networks don't overfit",
        ("dropout", "claims"),
        _dropout_does_not_help,
    ),
    Conclusion(
        "the final results are sensitive to the parameters", ("penalties", "dropout"), _sensitive
    ),
)
"""What the text concludes from its Problem 4."""
