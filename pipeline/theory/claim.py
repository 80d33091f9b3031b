"""A claim of the text and what came of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from jaxtyping import Bool
from torch import Tensor

from pipeline.comparison.statistics import Difference

__all__ = ["ROUNDING", "Claim", "Outcome", "all_of", "all_true", "are_equal", "is_positive"]

ROUNDING = 1e-12
"""Numbers around 1 that differ by less are equal; float64 keeps some 16 digits."""
DIFFERENT = 1e-9
"""Numbers around 1 that differ by this are not equal; below it, much rounding may explain it."""


class Outcome(StrEnum):
    """What a computation says about a claim."""

    HOLDS = "holds"
    """Mathematics, confirmed."""
    ERRATUM = "erratum"
    """What the text says is refuted, and what is right in its place is confirmed."""
    SUPPORTED = "supported"
    """An empirical claim that the measurement speaks for."""
    CONTRADICTED = "contradicted"
    """An empirical claim that the measurement speaks against."""
    UNDECIDED = "not decided"
    """There was nothing to judge by, or the difference may be chance or rounding."""
    FAILS = "fails"
    """Mathematics that our own code doesn't confirm: something here is broken."""

    @classmethod
    def proved(cls, holds: bool | None) -> Outcome:
        """Return the outcome of something that must hold; None if nothing could be judged."""
        if holds is None:
            return cls.UNDECIDED
        return cls.HOLDS if holds else cls.FAILS

    @classmethod
    def corrected(cls, *, text: bool | None, ours: bool | None) -> Outcome:
        """Return the outcome of a statement of the text beside the one put in its place.

        Args:
            text: whether the text's statement is true; None if that could not be judged.
            ours: the same of ours. If ours is not true, the check has failed.
        """
        if text is None or ours is None:
            return cls.UNDECIDED
        if not ours:
            return cls.FAILS
        return cls.HOLDS if text else cls.ERRATUM

    @classmethod
    def measured(cls, supports: bool | None) -> Outcome:
        """Return the outcome of something that may turn out either way; None if neither is sure."""
        if supports is None:
            return cls.UNDECIDED
        return cls.SUPPORTED if supports else cls.CONTRADICTED


@dataclass(frozen=True)
class Claim:
    """A claim of the text beside what was computed.

    Attributes:
        problem: number in the problem set, such as "2.3".
        statement: what is claimed, with the rule by which it is judged.
        published: what the text says or prints.
        computed: what came out here.
        outcome: what the computation says about the statement.
    """

    problem: str
    statement: str
    published: str
    computed: str
    outcome: Outcome


def all_of(parts: Iterable[bool | None]) -> bool | None:
    """Return False if a part is, else None if a part is None or there is none, else True."""
    found = list(parts)
    if False in found:
        return False
    return None if None in found or not found else True


def all_true(flags: Bool[Tensor, " flags"]) -> bool | None:
    """Return whether every flag is true; None if there is none."""
    return bool(flags.all()) if flags.numel() else None


def are_equal(difference: float) -> bool | None:
    """Return whether numbers around 1 that differ by so much are equal; None if it may be rounding.

    A difference that isn't a number is one.
    """
    if difference < ROUNDING:
        return True
    return None if difference < DIFFERENT else False


def is_positive(difference: Difference) -> bool | None:
    """Return whether a mean difference is above 0; None if its 95 % interval does not say."""
    if difference.low > 0:
        return True
    return False if difference.high < 0 else None
