"""A study's part of the report: its question, what was published, what the runs say, figures."""

from __future__ import annotations

import math
import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from pipeline.report.table import Table
from pipeline.reproduce.answers import Numbered, answer, is_accuracy
from pipeline.reproduce.bands import bands_table
from pipeline.reproduce.claims import Judgement, judge_claims
from pipeline.reproduce.discrimination import Discrimination, discriminate
from pipeline.reproduce.runs import StudyRuns
from pipeline.reproduce.study import Study
from pipeline.reproduce.verdicts import Verdict

__all__ = ["Section", "read_section"]


@dataclass(frozen=True)
class Section:
    """What a study tells."""

    study: Study
    runs: StudyRuns
    answers: dict[str, list[Numbered]]
    """The published numbers with their verdicts, by reading; "" if there is but one."""
    claims: list[Judgement]
    discrimination: dict[str, Discrimination]
    """By reading, how well its verdicts tell the cells apart."""
    typed: str
    """What one types for it: its name, or its file."""

    def counted(self) -> list[Numbered]:
        """Return the answers of the study's first reading, which is the one that counts."""
        return next(iter(self.answers.values()))

    @property
    def has_few_seeds(self) -> bool:
        """Whether there are fewer seeds than the study asks for."""
        return self.runs.num_seeds < self.study.seeds

    def markdown(self, figures: Sequence[Path], folder: str) -> str:
        """Return the section; figures are looked for in a folder beside the report."""
        study = self.study
        parts = [
            f"## {study.title}",
            f"*{study.question}* Source: {study.source}.",
            study.about.strip(),
            f"Command: `python -m pipeline.reproduce {shlex.quote(self.typed)}`. Its runs alone: "
            + ", ".join(f"`python -m pipeline -m {_typed(it)}`" for it in study.grids.values())
            + ".",
            f"What was fitted: {study.fitted.strip()}" if study.fitted else "",
            _searched(study, self.typed),
        ]
        for reading, found in self.answers.items():
            if found:
                parts += [f"By the reading *{reading}*:" if reading else "", _answers_table(found)]
                parts.append(_discriminates(self.discrimination[reading]))
        if len(self.answers) > 1:
            parts.append(_readings(self.answers))
        if study.bands:
            parts += [bands_table(study, study.bands, self.runs).markdown()]
        if self.claims:
            parts.append(_claims_table(self.claims).markdown())
        parts += [f"![{study.title}]({quote(folder)}/{path.name})" for path in figures]
        return "\n\n".join(part for part in parts if part) + "\n\n"


def read_section(study: Study, runs: StudyRuns, typed: str = "") -> Section:
    """Judge everything of a study by its runs.

    Args:
        study: what to judge.
        runs: its runs.
        typed: the study as one types it, if that isn't its name.
    """
    answers = {
        reading: answer(_read_as(study, reading), runs) for reading in study.readings or {"": []}
    }
    return Section(
        study,
        runs,
        answers,
        judge_claims(study, runs),
        {reading: discriminate(runs, found) for reading, found in answers.items()},
        typed or runs.name,
    )


def _read_as(study: Study, reading: str) -> Study:
    """Return the study with its published numbers answered by one reading."""
    if not reading:
        return study
    published = [
        entry.model_copy(update={"where": {**entry.where, "reading": reading}})
        for entry in study.published
    ]
    return study.model_copy(update={"published": published})


def _searched(study: Study, typed: str) -> str:
    if not study.search:
        return ""
    number = math.prod(len(options) for options in study.search.values())
    return (
        f"What else the protocol may have been: `python -m pipeline.reproduce {shlex.quote(typed)} "
        f"--search` tries {number} readings ({', '.join(study.search)})."
    )


def _typed(grid: Sequence[str]) -> str:
    return " ".join(shlex.quote(word) for word in grid)


def _answers_table(found: Sequence[Numbered]) -> str:
    header = ["", "what", "published", "expected of ours", "interval", "seeds", "verdict"]
    return Table(header, [_row(one) for one in found], "  rrrr").markdown()


def _row(one: Numbered) -> list[str]:
    item, answer_, entry = one.item, one.answer, one.item.entry
    worst = answer_.worst if answer_.verdict not in (Verdict.MISSING, Verdict.TOO_FEW) else -1
    draws, interval = answer_.ours[worst], answer_.intervals[worst]
    kind = {"mean": f"mean of {entry.of}", "best": f"best of {entry.of}"}.get(
        entry.kind, entry.kind
    )
    if entry.kind == "peak" and entry.of > 1:
        kind = f"peak, best of {entry.of}"
    place = worst % len(item.values) + 1
    what = f"{kind}, epoch {place}" if entry.kind == "curve" else kind
    ends = f"{_text(interval.lower)} to {_text(interval.upper)}"
    if is_accuracy(entry.metric):  # which is never below 0 or above 1
        ends = f"{_text(max(0.0, interval.lower))} to {_text(min(1.0, interval.upper))}"
    return [
        item.label,
        what,
        _text(item.values[worst]),
        _text(draws.center if draws.values else math.nan),
        "" if math.isnan(interval.lower) else ends,
        _count(len(draws.values), draws.num_seeds),
        answer_.verdict,
    ]


def _count(found: int, wanted: int) -> str:
    return str(wanted) if found == wanted else f"{found} of {wanted}"


def _text(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.4f}"


def _discriminates(found: Discrimination) -> str:
    if found.share is None:
        return ""
    return (
        f"Of {found.mismatches} mismatches, each a published number given to the runs of another "
        "cell whose mean is surely farther away than an interval may reach, the same rule rejects "
        f"{found.rejected} ({found.share:.0%}); of the {found.matched} numbers with their own runs "
        f"it rejects {found.matched_rejected}."
    )


def _readings(answers: dict[str, list[Numbered]]) -> str:
    rows = [
        [reading, *(_counts(found)[verdict] for verdict in _shown(answers))]
        for reading, found in answers.items()
    ]
    header = ["reading", *_shown(answers)]
    return Table(header, rows, " " + "r" * (len(header) - 1)).markdown()


def _shown(answers: dict[str, list[Numbered]]) -> list[Verdict]:
    there = {one.answer.verdict for found in answers.values() for one in found}
    return [verdict for verdict in Verdict if verdict in there]


def _counts(found: Sequence[Numbered]) -> dict[Verdict, str]:
    counts = Counter(one.answer.verdict for one in found)
    return {verdict: str(counts[verdict]) for verdict in Verdict}


def _claims_table(claims: Sequence[Judgement]) -> Table:
    rows = [[one.statement, one.decision, one.evidence, one.printed] for one in claims]
    return Table(["the claim", "verdict", "the runs", "the published numbers"], rows)
