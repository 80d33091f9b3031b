"""The reproduction report: published numbers beside ours, in the words of `report.md`."""

from __future__ import annotations

import platform
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from urllib.parse import quote

from pipeline.report.html import to_html
from pipeline.report.table import Table
from pipeline.reproduce.cells import DROPOUT_READINGS, Answer, answer, dropout_cells, find_cells
from pipeline.reproduce.conclusions import CONCLUSIONS, Judgement
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
from pipeline.theory.claim import Claim
from pipeline.theory.figures import write_figures
from pipeline.theory.table import batch_size_table, claim_table
from pipeline.tracking.provenance import PACKAGES

__all__ = ["Findings", "counted", "write_report"]

TEMPLATE = Path(__file__).with_name("report.md")

TITLE = "The problem set, carried out"


@dataclass
class Findings:
    """All that a report tells.

    Attributes:
        reference: the published numbers.
        studies: the runs of each study.
        num_trained: how many of the runs were trained this time; the others were there.
        overrides: what was typed for the runs and can change their numbers.
        theory: the claims of Problems 1 to 3 and what came of them, if they were checked.
        comparison: the mini-batch sizes compared, if the theory was checked.
        seconds: how long training, checking and computing took.
        answers: by study, the published numbers beside ours.
        conclusions: what the text concludes, judged; of those whose studies are all there.
    """

    reference: Reference
    studies: Mapping[str, StudyRuns]
    num_trained: int = 0
    overrides: Sequence[str] = ()
    theory: Sequence[Claim] = ()
    comparison: Comparison | None = None
    seconds: float = 0.0
    answers: dict[str, list[Answer]] = field(init=False)
    conclusions: list[Judgement] = field(init=False)

    def __post_init__(self) -> None:
        self.answers = {
            name: [answer(cell, runs) for cell in find_cells(name, self.reference)]
            for name, runs in self.studies.items()
        }
        self.conclusions = [
            conclusion.judge(self.studies, self.reference)
            for conclusion in CONCLUSIONS
            if set(conclusion.studies) <= set(self.studies)
        ]


def write_report(path: Path, findings: Findings) -> list[Path]:
    """Write the report as Markdown and as one HTML page, and its figures into a folder beside.

    Sections of studies that are not among the findings are left out.

    Args:
        path: the Markdown file, FILE.md; the page is FILE.html, the folder FILE.
        findings: what to tell.

    Returns:
        The files written: Markdown, page, figures.
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
    reference, studies = findings.reference, findings.studies
    blocks = {"summary": _summary(findings), "rule": RULE, "figures": quote(figures)}
    tables = {name: answers_table(found) for name, found in findings.answers.items() if found}
    if "sgd_network" in studies:
        tables["sgd_network bands"] = bands_table(studies["sgd_network"], reference)
        blocks["sgd_network epochs"] = epochs_as_printed(studies["sgd_network"], reference)
    if "dropout" in studies:
        readings = {
            reading: [answer(c, studies["dropout"]) for c in dropout_cells(reference, *place)]
            for reading, place in DROPOUT_READINGS.items()
        }
        tables["dropout readings"] = readings_table(readings)
    if "claims" in studies and findings.conclusions:
        tables["claims"] = claims_table(findings.conclusions)
    if findings.comparison:
        tables["batch sizes"] = batch_size_table(findings.comparison)
        for problem in ("1.1", "1.2", "2", "3"):
            claims = [c for c in findings.theory if f"{c.problem}.".startswith(f"{problem}.")]
            tables[f"theory {problem}"] = claim_table(claims)
    return blocks | {name: table.markdown() for name, table in tables.items()}


def _summary(findings: Findings) -> str:
    """Return where the numbers come from, and how many verdicts of each kind there are."""
    versions = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    num_runs = sum(len(runs.jobs) - len(runs.missing) for runs in findings.studies.values())
    parts = [
        f"{num_runs} runs, {findings.num_trained} of them trained for this report, in "
        f"{findings.seconds:.0f} s. Python {platform.python_version()}, {versions}; "
        f"{platform.system()} on {platform.machine()}, {_processor()}."
    ]
    if findings.overrides:
        typed = without_password(" ".join(findings.overrides))
        parts.append(f"The runs differ from the text's by what was typed: `{typed}`.")
    rows = [_counts(name, found) for name, found in findings.answers.items() if found]
    if rows:
        table = Table(["", *Verdict, "of"], rows, " " + "r" * (len(Verdict) + 1))
        parts.append(f"Published numbers:\n\n{table.markdown()}")
    if findings.theory:
        outcomes = [claim.outcome for claim in findings.theory]
        parts.append(f"Problems 1 to 3: {counted(outcomes)}.")
    if findings.conclusions and "claims" in findings.studies:
        decisions = [judgement.decision for judgement in findings.conclusions]
        parts.append(f"Conclusions of Problem 4: {counted(decisions)}.")
    return "\n\n".join(parts)


def _counts(name: str, answers: Sequence[Answer]) -> list[str]:
    """Return how many answers of a study have each verdict, and how many there are."""
    counts = Counter(found.verdict for found in answers)
    return [name, *(str(counts[verdict]) for verdict in Verdict), str(len(answers))]


def counted(names: Iterable[str]) -> str:
    """Return how often each name occurs, as "3 inside, 1 close"."""
    return ", ".join(f"{count} {name}" for name, count in Counter(names).items())


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{len(models)} × {models[0]}" if models else platform.processor()
