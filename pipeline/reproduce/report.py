"""The reproduction report: published numbers beside ours, in the words of `report.md`."""

from __future__ import annotations

import platform
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from urllib.parse import quote

from pipeline.report.html import to_html
from pipeline.report.table import Table
from pipeline.reproduce.cells import DROPOUT_READINGS, Answer, answer, dropout_cells, find_cells
from pipeline.reproduce.claims import CLAIMS, ClaimVerdict
from pipeline.reproduce.figures import draw_study
from pipeline.reproduce.reference import Reference
from pipeline.reproduce.runs import StudyRuns
from pipeline.reproduce.tables import (
    answers_table,
    bands_table,
    claims_table,
    epochs_as_printed,
    readings_table,
)
from pipeline.reproduce.verdicts import RULE, Verdict
from pipeline.secrets import without_password
from pipeline.theory.batch_size import Comparison
from pipeline.theory.claim import Claim as TheoryClaim
from pipeline.theory.figures import write_figures
from pipeline.theory.table import batch_size_table, claim_table
from pipeline.tracking.provenance import PACKAGES

__all__ = ["Findings", "write_report"]

TEMPLATE = Path(__file__).with_name("report.md")

TITLE = "The problem set, carried out"


@dataclass
class Findings:
    """All that a report tells."""

    reference: Reference
    studies: Mapping[str, StudyRuns]
    theory: Sequence[TheoryClaim] = ()
    comparison: Comparison | None = None
    """Of mini-batch sizes; with `theory`."""
    seconds: float = 0.0
    """That training, checking and computing took this time."""
    num_trained: int = 0
    """Runs among them that were trained this time; the others were there."""
    overrides: Sequence[str] = ()
    """What was typed for the runs."""
    answers: dict[str, list[Answer]] = field(init=False)
    """By study, the published numbers beside ours."""
    claims: list[ClaimVerdict] = field(init=False)
    """The text's conclusions whose studies are all there."""

    def __post_init__(self) -> None:
        self.answers = {
            name: [answer(cell, runs) for cell in find_cells(name, self.reference)]
            for name, runs in self.studies.items()
        }
        self.claims = [
            claim.judge(self.studies, self.reference)
            for claim in CLAIMS
            if set(claim.studies) <= set(self.studies)
        ]


def write_report(path: Path, findings: Findings) -> list[Path]:
    """Write the report as Markdown and as one HTML page, and its figures into a folder beside.

    Sections of studies that are not among the findings are left out.

    Args:
        path: of the Markdown file; the others take its name.
        findings: what to tell.

    Returns:
        The files written.
    """
    folder = path.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    figures = _draw(folder, findings)
    markdown = _fill(TEMPLATE.read_text(encoding="utf-8"), _blocks(findings, folder.name))
    path.write_text(markdown, encoding="utf-8")
    page = path.with_suffix(".html")
    page.write_text(to_html(markdown, title=TITLE, folder=path.parent), encoding="utf-8")
    return [path, page, *figures]


def _draw(folder: Path, findings: Findings) -> list[Path]:
    figures: list[Path] = []
    for name, runs in findings.studies.items():
        figures.append(folder / f"{name}.png")
        draw_study(figures[-1], runs, findings.reference)
    if findings.comparison:
        figures += write_figures(folder, findings.comparison)
    return figures


def _fill(template: str, blocks: Mapping[str, str]) -> str:
    """Put the blocks in their places; leave out the sections that lack one."""
    head, *sections = re.split(r"^(?=## )", template, flags=re.MULTILINE)
    complete = [part for part in sections if set(re.findall(r"{{(.+?)}}", part)) <= set(blocks)]
    text = "".join([head, *complete])
    return re.sub(r"{{(.+?)}}", lambda found: blocks[found[1]], text)


def _blocks(findings: Findings, figures: str) -> dict[str, str]:
    """Return what stands in each place of the template that can be filled."""
    blocks = {"summary": _summary(findings), "rule": RULE}
    names = [*findings.studies, *(["theory"] if findings.theory else [])]
    if names:
        blocks["figures"] = quote(figures)
    tables = {name: answers_table(found) for name, found in findings.answers.items() if found}
    if "sgd_network" in findings.studies:
        runs = findings.studies["sgd_network"]
        tables["sgd_network bands"] = bands_table(runs, findings.reference)
        blocks["sgd_network epochs"] = epochs_as_printed(runs, findings.reference)
    if "dropout" in findings.studies:
        tables["dropout readings"] = readings_table(_readings(findings))
    if "claims" in findings.studies and findings.claims:
        tables["claims"] = claims_table(findings.claims)
    if findings.comparison:
        tables["batch sizes"] = batch_size_table(findings.comparison)
        for problem in ("1.1", "1.2", "2", "3"):
            claims = [claim for claim in findings.theory if claim.problem.startswith(problem)]
            tables[f"theory {problem}"] = claim_table(claims)
    return blocks | {name: table.markdown() for name, table in tables.items()}


def _readings(findings: Findings) -> dict[str, list[Answer]]:
    runs = findings.studies["dropout"]
    return {
        reading: [answer(cell, runs) for cell in dropout_cells(findings.reference, where, phase)]
        for reading, (where, phase) in DROPOUT_READINGS.items()
    }


def _summary(findings: Findings) -> str:
    """Return where the numbers come from, and how many verdicts of each kind there are."""
    versions = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    num_runs = sum(len(runs.jobs) - len(runs.missing) for runs in findings.studies.values())
    origin = (
        f"{num_runs} runs, {findings.num_trained} of them trained for this report, in "
        f"{findings.seconds:.0f} s. Python {platform.python_version()}, {versions}; "
        f"{platform.system()} on {platform.machine()}, {_processor()}."
    )
    header = ["", *(verdict.value for verdict in Verdict), "of"]
    rows = [
        [name, *_counts([entry.verdict for entry in found])]
        for name, found in findings.answers.items()
        if found
    ]
    parts = [origin]
    if findings.overrides:
        typed = without_password(" ".join(findings.overrides))
        parts.append(f"The runs differ from the text's by what was typed: `{typed}`.")
    if rows:
        parts.append("Published numbers:\n\n" + Table(header, rows, " rrrrrr").markdown())
    if findings.theory:
        counts = Counter(claim.verdict.value for claim in findings.theory)
        parts.append("Problems 1 to 3: " + _listed(counts) + ".")
    if findings.claims and "claims" in findings.studies:
        counts = Counter(claim.decision.value for claim in findings.claims)
        parts.append("Conclusions of Problem 4: " + _listed(counts) + ".")
    return "\n\n".join(parts)


def _counts(verdicts: Sequence[Verdict]) -> list[str]:
    counts = Counter(verdicts)
    return [*(str(counts[verdict]) for verdict in Verdict), str(len(verdicts))]


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{len(models)} × {models[0]}" if models else platform.processor()
