"""Which cells agree with the published numbers, kept so that a change of the code can't hide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from pipeline.reproduce.cells import Answer
from pipeline.reproduce.verdicts import Verdict

__all__ = ["EXPECTATIONS", "accept", "lost_agreements"]

EXPECTATIONS = Path(__file__).with_name("expectations.yaml")

HEADER = (
    "# The cells that agree with the published numbers, by study. Written by\n"
    "# `python -m pipeline.reproduce --accept`; a report where one of them differs ends with 1.\n"
)


def accept(answers: Mapping[str, Sequence[Answer]], path: Path = EXPECTATIONS) -> None:
    """Write down which cells agree; studies that are not among the answers keep what they had."""
    expected = _read(path) | {
        study: [entry.cell.label for entry in found if entry.verdict.agrees]
        for study, found in answers.items()
        if found
    }
    path.write_text(HEADER + yaml.safe_dump(expected, allow_unicode=True, width=100))


def lost_agreements(
    answers: Mapping[str, Sequence[Answer]], path: Path = EXPECTATIONS
) -> list[str]:
    """Return the cells that used to agree and now differ."""
    expected = _read(path)
    return [
        f"{study}: {entry.cell.label}: published {entry.cell.published:.4f}, ours "
        f"{entry.ours.mean:.4f} ({entry.verdict})"
        for study, found in answers.items()
        for entry in found
        if entry.cell.label in expected.get(study, []) and entry.verdict is Verdict.DIFFERENT
    ]


def _read(path: Path) -> dict[str, list[str]]:
    return yaml.safe_load(path.read_text()) or {} if path.is_file() else {}
