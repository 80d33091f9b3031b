"""The report: studies and theory in the order of the problem set, in the words of `report.md`."""

from __future__ import annotations

import platform
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from urllib.parse import quote

from pipeline.report.html import to_html
from pipeline.report.table import Table
from pipeline.reproduce.discrimination import Discrimination
from pipeline.reproduce.figures import draw_study
from pipeline.reproduce.section import Section
from pipeline.reproduce.verdicts import RULE, Verdict
from pipeline.secrets import without_password
from pipeline.theory.batch_size import Comparison
from pipeline.theory.claim import Claim
from pipeline.theory.figures import write_figures
from pipeline.theory.table import batch_size_table, claim_table
from pipeline.tracking.provenance import PACKAGES

__all__ = ["Findings", "counted", "write_report"]

TEMPLATE = Path(__file__).with_name("report.md")

TITLE = "Published results, carried out"


@dataclass
class Findings:
    """All that a report tells."""

    sections: Sequence[Section]
    """What each study tells, in the order of their training."""
    num_trained: int = 0
    """How many of the runs were trained this time; the others were there."""
    overrides: Sequence[str] = ()
    """What was typed for the runs and can change their numbers."""
    theory: Sequence[Claim] = ()
    """The claims of Problems 1 to 3 and what came of them, if they were checked."""
    comparison: Comparison | None = None
    """The mini-batch sizes compared, if the theory was checked."""
    seconds: float = 0.0
    """How long training, checking and computing took."""


def write_report(path: Path, findings: Findings) -> list[Path]:
    """Write the report as Markdown and as one HTML page, and its figures into a folder beside.

    Studies and problems that are not among the findings are left out.

    Args:
        path: the Markdown file, FILE.md; the page is FILE.html, the folder FILE.
        findings: what to tell.

    Returns:
        The files written: Markdown, page, figures.
    """
    folder = path.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    figures = {it.runs.name: draw_study(folder, it.study, it.runs) for it in findings.sections}
    drawn = [figure for of_study in figures.values() for figure in of_study]
    if findings.comparison:
        drawn += write_figures(folder, findings.comparison)
    markdown = _fill(TEMPLATE.read_text(encoding="utf-8"), _blocks(findings, figures, folder.name))
    path.write_text(markdown, encoding="utf-8")
    page = path.with_suffix(".html")
    page.write_text(to_html(markdown, title=TITLE, folder=path.parent), encoding="utf-8")
    return [path, page, *drawn]


def _fill(template: str, blocks: Mapping[str, str]) -> str:
    """Put the blocks in their places; leave out the sections that lack one, and say the rest."""
    known = set(re.findall(r"{{(.+?)}}", template))
    others = "".join(text for name, text in blocks.items() if name not in known)
    head, *sections = re.split(r"^(?=## |{{study)", template, flags=re.MULTILINE)
    complete = [part for part in sections if set(re.findall(r"{{(.+?)}}", part)) <= set(blocks)]
    text = "".join([head, *complete])
    return re.sub(r"{{(.+?)}}", lambda found: blocks[found[1]], text) + others


def _blocks(
    findings: Findings, figures: Mapping[str, Sequence[Path]], folder: str
) -> dict[str, str]:
    """Return what stands in each place of the template that can be filled."""
    blocks = {"summary": _summary(findings), "rule": RULE, "figures": quote(folder)}
    if findings.comparison:
        blocks["batch sizes"] = batch_size_table(findings.comparison).markdown()
        for problem in ("1.1", "1.2", "2", "3"):
            claims = [c for c in findings.theory if f"{c.problem}.".startswith(f"{problem}.")]
            blocks[f"theory {problem}"] = claim_table(claims).markdown()
    for section in findings.sections:
        name = section.runs.name
        blocks[f"study {name}"] = section.markdown(figures[name], folder)
    return blocks


def _summary(findings: Findings) -> str:
    """Return where the numbers come from, and how many verdicts of each kind there are."""
    versions = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    sections = findings.sections
    num_runs = sum(it.runs.num_runs - len(it.runs.missing) for it in sections)
    parts = [
        f"{num_runs} runs, {findings.num_trained} of them trained for this report, in "
        f"{findings.seconds:.0f} s. Written with Python {platform.python_version()}, {versions}; "
        f"{platform.system()} on {platform.machine()}, {_processor()}."
    ]
    if findings.overrides:
        typed = without_password(" ".join(findings.overrides))
        parts.append(f"The runs differ from the studies' by what was typed: `{typed}`.")
    few = [f"{it.runs.name} {it.runs.num_seeds}" for it in sections if it.has_few_seeds]
    if few:
        parts.append(
            f"Seeds are fewer than the studies ask for ({', '.join(few)}): intervals are wide, so "
            "that little is decided, and an agreement means little."
        )
    rows = [_counts(section) for section in sections if section.counted()]
    if rows:
        table = Table(["", *Verdict, "of"], rows, " " + "r" * (len(Verdict) + 1))
        parts.append(f"Published numbers, a curve being one:\n\n{table.markdown()}")
    all_claims = [claim.decision for section in sections for claim in section.claims]
    if all_claims:
        parts.append(
            f"Claims of the studies: {counted(all_claims)}. A claim is supported if all that it "
            "consists of surely holds, and contradicted if a part of it is surely the other way "
            "round: t tests of differences that are paired by seed, chi-square tests of spreads, "
            "at levels by Holm's procedure for the claims of a study. The brackets are 95 % "
            "intervals of each difference alone, so one may leave out the bound and nothing be "
            "decided."
        )
    if findings.theory:
        outcomes = [claim.outcome for claim in findings.theory]
        parts.append(f"Problems 1 to 3: {counted(outcomes)}.")
    found = [next(iter(section.discrimination.values())) for section in sections]
    parts.append(_discriminates(found))
    return "\n\n".join(part for part in parts if part)


def _discriminates(found: Sequence[Discrimination]) -> str:
    mismatches = sum(it.mismatches for it in found)
    if not mismatches:
        return ""
    rejected = sum(it.rejected for it in found)
    own, own_rejected = (sum(it.matched for it in found), sum(it.matched_rejected for it in found))
    return (
        "Can the rule tell right from wrong? Every published number was also given to the runs of "
        "the other cells of its study, as far as their means are surely farther away than an "
        f"interval may reach. Of these {mismatches} mismatches {rejected} are rejected "
        f"({rejected / mismatches:.0%}); of the {own} numbers with their own runs {own_rejected} "
        "are. Of a study with several readings, the first one counts."
    )


def _counts(section: Section) -> list[str]:
    """Return how many answers of a study have each verdict, and how many there are."""
    found = section.counted()
    counts = Counter(one.answer.verdict for one in found)
    return [section.runs.name, *(str(counts[verdict]) for verdict in Verdict), str(len(found))]


def counted(names: Iterable[str]) -> str:
    """Return how often each name occurs, as "3 agrees, 1 differs"."""
    return ", ".join(f"{count} {name}" for name, count in Counter(names).items())


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{len(models)} × {models[0]}" if models else platform.processor()
