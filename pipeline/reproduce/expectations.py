"""Every verdict as it was, kept so that a change of the code can't change one unseen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from pipeline.reproduce.section import Section
from pipeline.theory.claim import Claim

__all__ = ["EXPECTATIONS", "accept", "changed", "verdicts_of"]

EXPECTATIONS = Path(__file__).with_name("expectations.yaml")

HEADER = (
    "# The verdicts on all published numbers, claims and proofs, by study. Written by\n"
    "# `python -m pipeline.reproduce --accept`; a report with another one ends with 1.\n"
)

UNSAID = ("runs missing", "too few seeds")
"""What is no verdict: nothing is expected of it."""

Verdicts = Mapping[str, Mapping[str, str]]


def verdicts_of(sections: Sequence[Section], theory: Sequence[Claim]) -> dict[str, dict[str, str]]:
    """Return every verdict by study and by what it is on."""
    found: dict[str, dict[str, str]] = {}
    for section in sections:
        verdicts = found.setdefault(section.runs.name, {})
        for reading, answers in section.answers.items():
            before = f"{reading}: " if reading else ""
            verdicts |= {before + it.item.label: str(it.answer.verdict) for it in answers}
        verdicts |= {claim.statement: str(claim.decision) for claim in section.claims}
    if theory:
        found["theory"] = {f"{it.problem}: {it.statement}": str(it.outcome) for it in theory}
    return found


def accept(found: Verdicts, path: Path = EXPECTATIONS) -> None:
    """Write the verdicts down; studies that are not among them keep what they had."""
    expected = {**_read(path), **found}
    text = yaml.safe_dump(expected, allow_unicode=True, width=100)
    path.write_text(HEADER + text, encoding="utf-8")


def changed(found: Verdicts, path: Path = EXPECTATIONS) -> list[str]:
    """Return, for people, the verdicts that are no longer what they were."""
    expected = _read(path)
    return [
        f"{study}: {what}: {verdict}, was {before}"
        for study, verdicts in found.items()
        for what, verdict in verdicts.items()
        if verdict not in UNSAID
        and (before := expected.get(study, {}).get(what)) not in (None, verdict)
    ]


def _read(path: Path) -> Verdicts:
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {} if path.is_file() else {}
