"""A claim of the text and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Claim", "Outcome"]


class Outcome(StrEnum):
    """What a computation says about a claim."""

    HOLDS = "holds"
    """Mathematics, confirmed."""
    ERRATUM = "erratum"
    """The text is wrong, and what is right is proved."""
    SUPPORTED = "supported"
    """An empirical claim that the measurement speaks for."""
    CONTRADICTED = "contradicted"
    """An empirical claim that the measurement speaks against."""
    FAILS = "fails"
    """Mathematics that our own code doesn't confirm: something here is broken."""

    @classmethod
    def proved(cls, holds: bool) -> Outcome:
        """Return the outcome of something that must hold."""
        return cls.HOLDS if holds else cls.FAILS

    @classmethod
    def measured(cls, supports: bool) -> Outcome:
        """Return the outcome of something that may turn out either way."""
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
