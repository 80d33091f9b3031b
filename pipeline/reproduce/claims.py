"""The problem set's statements on its results, each a test on the runs with a verdict.

Differences are paired: two runs with the same seed start from the same weights and see the same
batches. A statement counts as decided if the 95 % interval of the mean difference says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pipeline.reproduce.cells import LAST_EPOCH, at_epoch, dropout_where
from pipeline.reproduce.reference import Reference
from pipeline.reproduce.runs import StudyRuns
from pipeline.reproduce.verdicts import Estimate, paired_difference

__all__ = ["CLAIMS", "Claim", "ClaimVerdict", "Decision"]

Studies = Mapping[str, StudyRuns]
Values = Sequence[float | None]

LEARNED_NOTHING = 0.2
"""Test accuracy below which a network has learned next to nothing: always answering 1 gives .11."""

SENSITIVE = 5
"""Times the seeds' own spread by which parameters must move the accuracy to be called sensitive."""


class Decision(StrEnum):
    """What the runs say of a statement."""

    SUPPORTED = "supported"
    CONTRADICTED = "contradicted"
    UNDECIDED = "not decided"
    MISSING = "runs missing"


@dataclass(frozen=True)
class ClaimVerdict:
    """A statement, what the runs say of it, and the numbers."""

    statement: str
    decision: Decision
    evidence: str


@dataclass(frozen=True)
class Claim:
    """A statement and the test that decides it."""

    statement: str
    studies: tuple[str, ...]
    """Whose runs it needs."""
    decide: Callable[[Studies, Reference], tuple[Decision, str]]

    def judge(self, studies: Studies, reference: Reference) -> ClaimVerdict:
        """Decide the statement, or say how many runs are missing."""
        missing = sum(len(studies[name].missing) for name in self.studies)
        if missing:
            text = f"{missing} of its runs are missing"
            return ClaimVerdict(self.statement, Decision.MISSING, text)
        epochs = min(studies[name].num_epochs for name in self.studies)
        if epochs < LAST_EPOCH:
            text = f"its runs have {epochs} epochs, of the text's {LAST_EPOCH}"
            return ClaimVerdict(self.statement, Decision.MISSING, text)
        return ClaimVerdict(self.statement, *self.decide(studies, reference))


def _accuracies(runs: StudyRuns, where: Mapping[str, object], epoch: int = LAST_EPOCH) -> Values:
    return at_epoch(runs, where, "test/accuracy", epoch)


def _side(estimate: Estimate) -> int:
    """Return 1 if a mean is surely above 0, -1 if surely below, 0 if its interval holds 0."""
    if estimate.half_width >= abs(estimate.mean) or math.isnan(estimate.half_width):
        return 0
    return 1 if estimate.mean > 0 else -1


def _all_above(estimates: Sequence[Estimate]) -> Decision:
    """Supported if all differences are surely positive, contradicted if one is surely negative."""
    sides = [_side(estimate) for estimate in estimates]
    if all(side == 1 for side in sides):
        return Decision.SUPPORTED
    return Decision.CONTRADICTED if -1 in sides else Decision.UNDECIDED


def _points(estimate: Estimate) -> str:
    mean = f"{100 * estimate.mean:+.2f}"
    if math.isnan(estimate.half_width):
        return f"{mean} points (one seed, so no interval)"
    return f"{mean} ± {100 * estimate.half_width:.2f} points"


def _converge_faster(studies: Studies, reference: Reference) -> tuple[Decision, str]:
    """Compare the share of the final accuracy that is there after the first epoch."""
    del reference
    shares: dict[str, list[float]] = {}
    for name in ("mse", "ce", "nll"):
        where = {"loss.name": name}
        first = _accuracies(studies["losses"], where, 1)
        last = _accuracies(studies["losses"], where)
        pairs = zip(first, last, strict=True)
        shares[name] = [a / b for a, b in pairs if a is not None and b is not None]
    leads = [paired_difference(shares[name], shares["nll"]) for name in ("mse", "ce")]
    evidence = ", ".join(
        f"{name} {sum(values) / len(values):.1%}" for name, values in shares.items() if values
    )
    return _all_above(leads), (
        f"share of the final test accuracy that is reached after one epoch: {evidence}. (The "
        "losses themselves have different scales, so their curves don't say it.)"
    )


def _reach_higher(studies: Studies, reference: Reference) -> tuple[Decision, str]:
    del reference
    by_loss = {
        name: _accuracies(studies["losses"], {"loss.name": name}) for name in ("mse", "ce", "nll")
    }
    leads = {name: paired_difference(by_loss[name], by_loss["mse"]) for name in ("nll", "ce")}
    texts = [f"{name} - mse: {_points(lead)}" for name, lead in leads.items()]
    return _all_above(list(leads.values())), "; ".join(texts)


def _penalty(runs: StudyRuns, name: str, strength: float) -> Values:
    return _accuracies(runs, {"regularizer.name": name, "regularizer.strength": strength})


def _learn_nothing(studies: Studies, reference: Reference) -> tuple[Decision, str]:
    largest = max(reference.strengths)
    found = {
        name: [
            value for value in _penalty(studies["penalties"], name, largest) if value is not None
        ]
        for name in ("l1", "l2")
    }
    below = {name: max(values) < LEARNED_NOTHING for name, values in found.items()}
    above = {name: min(values) > LEARNED_NOTHING for name, values in found.items()}
    ranges = "; ".join(
        f"{name.upper()} {min(values):.3f} to {max(values):.3f}" for name, values in found.items()
    )
    decision = Decision.SUPPORTED if all(below.values()) else Decision.UNDECIDED
    if any(above.values()):
        decision = Decision.CONTRADICTED
    return decision, (
        f"test accuracy at λ = {largest:g}: {ranges}; {LEARNED_NOTHING} is next to nothing"
    )


def _l2_tolerates_more(studies: Studies, reference: Reference) -> tuple[Decision, str]:
    large = [strength for strength in reference.strengths if strength >= 0.001]
    leads = {
        strength: paired_difference(
            _penalty(studies["penalties"], "l2", strength),
            _penalty(studies["penalties"], "l1", strength),
        )
        for strength in large
    }
    texts = [f"{_points(lead)} at λ = {strength:g}" for strength, lead in leads.items()]
    return _all_above(list(leads.values())), "L2 - L1: " + ", ".join(texts)


def _dropout_does_not_help(studies: Studies, reference: Reference) -> tuple[Decision, str]:
    """Dropout gains nothing here, the network doesn't overfit, and where one does it gains."""
    p_keeps = [p_keep for p_keep in reference.p_keeps if p_keep < 1]
    here = _gains(studies["dropout"], p_keeps, LAST_EPOCH, name="input")
    gap = _overfit(studies["dropout"], dropout_where("input", "train", 1.0), LAST_EPOCH)
    overfitting = [job.config for job in studies["claims"].jobs]
    last = overfitting[0].trainer.max_epochs
    tried = sorted({config.dropout.p_keep or 1.0 for config in overfitting} - {1.0})
    where_it_overfits = _gains(studies["claims"], tried, last, name="hidden")
    large_gap = _overfit(studies["claims"], {"dropout.name": "hidden", "dropout.p_keep": 1.0}, last)
    no_gain = all(_side(gain) <= 0 for gain in here.values())
    gains_there = any(_side(gain) == 1 for gain in where_it_overfits.values())
    decision = Decision.UNDECIDED
    if not no_gain:
        decision = Decision.CONTRADICTED
    elif gains_there and large_gap.mean > 5 * gap.mean:
        decision = Decision.SUPPORTED
    texts = [f"{_points(gain)} at p(keep) = {p_keep:g}" for p_keep, gain in here.items()]
    there = [
        f"{_points(gain)} at p(keep) = {p_keep:g}" for p_keep, gain in where_it_overfits.items()
    ]
    return decision, (
        f"with dropout of the inputs, against none: {', '.join(texts)}; train less test accuracy "
        f"without it: {_points(gap)}. A network that does overfit (784-100-10 on 1,000 images, "
        f"gap {_points(large_gap)}) changes by {', '.join(there)} with dropout of its hidden units"
    )


def _gains(
    runs: StudyRuns, p_keeps: Sequence[float], epoch: int, *, name: str
) -> dict[float, Estimate]:
    """Return by p_keep the gain of dropout while training over none, paired by seed."""
    without = _accuracies(runs, dropout_where(name, "train", 1.0), epoch)
    return {
        p_keep: paired_difference(
            _accuracies(runs, dropout_where(name, "train", p_keep), epoch), without
        )
        for p_keep in p_keeps
    }


def _overfit(runs: StudyRuns, where: Mapping[str, object], epoch: int) -> Estimate:
    """Return the accuracy on the training set less that on the test set."""
    train = at_epoch(runs, where, "train/accuracy", epoch)
    return paired_difference(train, at_epoch(runs, where, "test/accuracy", epoch))


def _sensitive(studies: Studies, reference: Reference) -> tuple[Decision, str]:
    """Compare the range over λ and p_keep with the spread of the seeds at λ = 0."""
    plain = [value for value in _penalty(studies["penalties"], "l2", 0) if value is not None]
    spread = Estimate(tuple(plain), len(plain)).deviation
    texts: list[str] = []
    ratios: list[float] = []
    columns = {
        "λ of L1": [_penalty(studies["penalties"], "l1", s) for s in reference.strengths],
        "λ of L2": [_penalty(studies["penalties"], "l2", s) for s in reference.strengths],
        "p(keep)": [
            _accuracies(studies["dropout"], dropout_where("input", "train", p))
            for p in reference.p_keeps
        ],
    }
    for name, column in columns.items():
        means = [
            sum(value for value in values if value is not None) / len(values) for values in column
        ]
        moved = max(means) - min(means)
        ratios.append(moved / spread if spread else math.copysign(math.inf, moved - 1e-12))
        texts.append(f"{name} moves it by {100 * (max(means) - min(means)):.1f}")
    decision = Decision.SUPPORTED if min(ratios) > SENSITIVE else Decision.UNDECIDED
    seeds = "of a single seed nobody knows"
    if not math.isnan(spread):
        seeds = f"seeds alone spread it by {100 * spread:.2f} (standard deviation)"
    return decision, f"points of test accuracy: {', '.join(texts)}; {seeds}"


CLAIMS = (
    Claim(
        "mean squared error and cross-entropy converge faster than softmax log-likelihood",
        ("losses",),
        _converge_faster,
    ),
    Claim(
        "with 5 epochs, log-likelihood and cross-entropy reach a higher test accuracy than mean "
        "squared error",
        ("losses",),
        _reach_higher,
    ),
    Claim(
        "networks with a penalty learn nothing when λ becomes too large",
        ("penalties",),
        _learn_nothing,
    ),
    Claim(
        "L2 is more tolerant of a large λ than L1",
        ("penalties",),
        _l2_tolerates_more,
    ),
    Claim(
        "dropout doesn't improve the test accuracy because the networks don't overfit",
        ("dropout", "claims"),
        _dropout_does_not_help,
    ),
    Claim(
        "the final results are sensitive to the parameters",
        ("penalties", "dropout"),
        _sensitive,
    ),
)
"""What the text concludes from its Problem 4."""
