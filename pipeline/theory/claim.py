"""A claim of the text and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Claim", "Verdict"]


class Verdict(StrEnum):
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
    def proved(cls, holds: bool) -> Verdict:
        """Return the verdict on something that must hold."""
        return cls.HOLDS if holds else cls.FAILS

    @classmethod
    def measured(cls, supports: bool) -> Verdict:
        """Return the verdict on something that may turn out either way."""
        return cls.SUPPORTED if supports else cls.CONTRADICTED


@dataclass(frozen=True)
class Claim:
    """One row of the table.

    Attributes:
        problem: number in the problem set, such as "2.3".
        statement: what is claimed, with the rule by which it is judged.
        published: what the text says or prints.
        computed: what came out here.
        verdict: of the computation on the statement.
    """

    problem: str
    statement: str
    published: str
    computed: str
    verdict: Verdict
