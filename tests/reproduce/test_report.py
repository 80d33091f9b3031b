"""The report: that it tells what the runs say, and nothing else of results."""

from __future__ import annotations

import fnmatch
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.reproduce.claims import Decision
from pipeline.reproduce.report import TEMPLATE, Findings, write_report
from pipeline.reproduce.section import Section, read_section
from pipeline.reproduce.verdicts import RULE, Verdict
from pipeline.theory.claim import Claim, Outcome
from tests import command
from tests.reproduce.hand_made import (
    NAMES,
    as_printed,
    cells_of,
    chance,
    config_of,
    make_shipped,
    shipped,
)
from tests.reproduce.hand_made import (
    Outcome as Runs,
)
from tests.theory.batch_size.made_up import compare

SECTIONS = {
    "1.1: why gradient descent goes down": "theory",
    "1.2: mini-batches of one, of some and of all": "theory",
    "1.3: the network that stops at 83.85 %": "sgd_network",
    "2: backpropagation in matrix form": "theory",
    "3: the cross-entropy, and an example by hand": "theory",
    "4.1: three losses": "losses",
    "4.2: penalties": "penalties",
    "4.2: dropout": "dropout",
    "4: does dropout fail because nothing overfits?": "overfitting",
}

THEORY = [
    Claim(number, f"claim {number}", "a | b", "1 of 1", outcome)
    for number, outcome in [
        ("1.1", Outcome.HOLDS),
        ("1.2", Outcome.SUPPORTED),
        ("2.1", Outcome.HOLDS),
        ("2.4", Outcome.HOLDS),
        ("3.3", Outcome.ERRATUM),
    ]
]


@dataclass(frozen=True)
class Report:
    """What `write_report` left."""

    files: list[Path]
    markdown: str
    html: str

    @property
    def headings(self) -> list[str]:
        """The headings of the sections."""
        return re.findall(r"^## Problem (.*)$", self.markdown, re.MULTILINE)

    @property
    def images(self) -> list[Path]:
        """Those that the Markdown names."""
        names = re.findall(r"!\[.+?\]\((.+?)\)", self.markdown)
        return [self.files[0].parent / name for name in names]

    def section(self, heading: str = "") -> str:
        """The text of a section, or of the beginning."""
        sections = re.split(r"^## Problem ", self.markdown, flags=re.MULTILINE)
        (text,) = [part for part in sections if part.startswith(heading or "# ")]
        return text

    def tables(self, heading: str = "") -> list[list[list[str]]]:
        """The tables of a section, or of the beginning."""
        blocks = re.findall(r"(?:^\|.*\n?)+", self.section(heading), re.MULTILINE)
        return [cells_of(block.strip()) for block in blocks]

    def prose(self) -> list[str]:
        """All lines that stand outside of tables, code and the rule."""
        text = re.sub(r"^```.*?^```", "", self.markdown, flags=re.MULTILINE | re.DOTALL)
        lines = text.replace(RULE, "").splitlines()
        return [line for line in lines if line and not line.startswith("|")]


def section(name: str, outcome: Runs, num_seeds: int = 3) -> Section:
    return read_section(shipped(name), make_shipped(name, outcome, num_seeds))


def report(path: Path, *sections: Section, theory: bool = False) -> Report:
    findings = Findings(sections, num_trained=17, seconds=61.3)
    if theory:
        findings.comparison = compare()
        findings.theory = THEORY
    files = write_report(path, findings)
    return Report(files, files[0].read_text("utf-8"), files[1].read_text("utf-8"))


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The report on runs that give what was published."""
    path = tmp_path_factory.mktemp("good") / "not" / "there" / "report.md"
    found = [section(name, as_printed(shipped(name), 0.0005), 20) for name in NAMES]
    return report(path, *found, theory=True)


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The report on runs that have learned nothing."""
    path = tmp_path_factory.mktemp("broken") / "report.md"
    return report(path, *[section(name, chance(), 20) for name in NAMES], theory=True)


@pytest.fixture(scope="module")
def holes(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The report where no run came to its end."""
    path = tmp_path_factory.mktemp("holes") / "report.md"
    return report(path, *[section(name, lambda _: None) for name in NAMES], theory=True)


COUNTED = {"losses": 6, "penalties": 13, "dropout": 6, "sgd_network": 1}


def counts(found: Report) -> dict[str, dict[str, int]]:
    """What the summary counts, by study."""
    (table,) = found.tables()
    header, *rows = table
    return {row[0]: dict(zip(header[1:], map(int, row[1:]), strict=True)) for row in rows}


def verdicts(found: Report, heading: str) -> list[str]:
    """The verdicts of a section's first table, by the column that is called so."""
    header, *rows = found.tables(heading)[0]
    return [row[header.index("verdict")] for row in rows]


def test_runs_that_give_what_was_published_agree_in_summary_and_sections(good: Report):
    assert list(counts(good)) == list(COUNTED)
    for name, found in counts(good).items():
        assert found["agrees"] == found["of"] == COUNTED[name]
    for heading in ("1.3", "4.1", "4.2: penalties", "4.2: dropout"):
        assert set(verdicts(good, heading)) == {"agrees"}


def test_runs_that_learn_nothing_differ_in_summary_and_sections(broken: Report):
    for name, found in counts(broken).items():
        assert found["agrees"] == 0
        # The printed 0.1135 is chance, too.
        assert found["differs"] >= found["of"] - 2, name
    assert set(verdicts(broken, "4.1")) == {"differs"}


def test_without_runs_nothing_is_judged_and_what_was_published_is_shown(holes: Report):
    for name, found in counts(holes).items():
        assert found["runs missing"] == found["of"] == COUNTED[name]
    for heading in ("4.1", "4.2: penalties"):
        header, *rows = holes.tables(heading)[0]
        assert len(header) == 7
        for row in rows:
            assert 0 < float(row[2]) < 1
            assert row[3:] == ["", "", "0 of 3", "runs missing"]


def claims(found: Report, heading: str) -> dict[str, str]:
    """The decisions on a section's claims."""
    (table,) = [rows for rows in found.tables(heading) if rows[0][0] == "the claim"]
    return {row[0]: row[1] for row in table[1:]}


def test_claims_follow_the_runs(good: Report, broken: Report, holes: Report):
    higher = (
        "with 5 epochs, log-likelihood and cross-entropy reach a higher test accuracy than mean "
        "squared error"
    )
    (faster,) = set(claims(good, "4.1")) - {higher}
    assert "converge faster" in faster
    assert claims(good, "4.1") == {faster: "contradicted", higher: "supported"}
    assert claims(broken, "4.1")[higher] != "supported"
    (sensitive,) = [says for says in claims(good, "4.2: penalties") if "sensitive" in says]
    assert claims(good, "4.2: penalties")[sensitive] == "supported"
    assert claims(broken, "4.2: penalties")[sensitive] == "contradicted"
    for heading in ("1.3", "4.1", "4.2: penalties", "4.2: dropout", "4: does"):
        assert set(claims(holes, heading).values()) == {"runs missing"}


def test_the_summary_counts_the_claims(good: Report, broken: Report, holes: Report):
    num_claims = sum(len(shipped(name).claims) for name in NAMES)
    assert f"Claims of the studies: {num_claims} runs missing." in holes.markdown
    for found in (good, broken):
        (said,) = re.findall(r"Claims of the studies: (.*?)\. ", found.markdown, re.MULTILINE)
        headings = ("1.3", "4.1", "4.2: penalties", "4.2: dropout", "4: does")
        listed = [one for heading in headings for one in claims(found, heading).values()]
        assert sorted(said.split(", ")) == sorted(
            f"{listed.count(one)} {one}" for one in set(listed)
        )


def masked(found: Report) -> list[str]:
    """The prose, without what is counted or measured anew in every report."""
    made = ("Of ", "Can the rule tell", "Claims of the studies: ")
    lines = [line for line in found.prose() if not line.startswith(made)]
    return [re.sub(r"\d+ runs, |of \d+ runs", "", line) for line in lines]


def test_outside_of_tables_two_reports_differ_in_counts_alone(
    good: Report, broken: Report, holes: Report
):
    """So what is said of results there is none of the authors', whatever they once saw."""
    few = "Seeds are fewer than"  # how many are asked for is known without a run
    of_good, of_broken, of_holes = (
        [line for line in masked(report) if not line.startswith(few)]
        for report in (good, broken, holes)
    )
    assert of_good == of_broken
    lines = [line for line in of_holes if "missing" not in line]
    bands = "![Problem 1.3"
    assert [line for line in of_good if not line.startswith(bands)] == lines


def prose_of(name: str) -> str:
    """What the authors of a study say in their own words."""
    study = shipped(name)
    titles = [figure.title for figure in study.figures]
    return " ".join([study.question, study.about, study.fitted, *titles])


@pytest.mark.parametrize("name", [*NAMES, "report"])
def test_what_is_written_by_hand_gives_no_verdict(name: str):
    text = TEMPLATE.read_text("utf-8") if name == "report" else prose_of(name)
    for word in [*Verdict, *Decision, "agree", "reproduced", "confirmed"]:
        assert not re.search(rf"\b{word}(s|ed)?\b", text), word


@pytest.mark.parametrize("name", NAMES)
def test_what_is_written_by_hand_holds_no_number_of_a_result(name: str):
    """A number with four digits is one that came out, unless it was published or counted."""
    study = shipped(name)
    published = {f"{value:g}" for entry in study.published for value in entry.values}
    for number in re.findall(r"\d*\.\d{3,}", prose_of(name)):
        assert f"{float(number):g}" in published, number
    assert not re.search(r"\d ?(%|points?\b)", prose_of(name))


def test_every_section_is_there_in_the_texts_order(good: Report):
    assert good.headings == list(SECTIONS)
    assert "{{" not in good.markdown


def test_every_figure_that_a_report_names_was_drawn(good: Report, holes: Report):
    for found in (good, holes):
        assert sorted(found.files[2:]) == sorted(set(found.images))
        for image in found.images:
            assert image.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_the_page_needs_no_other_file_and_says_what_the_markdown_says(good: Report):
    assert good.files[1] == good.files[0].with_suffix(".html")
    sources = re.findall(r'src="(.{22})', good.html)
    assert sources == ["data:image/png;base64,"] * len(good.images)
    assert not re.findall(r"<(link|script|iframe)\b|@import|url\(", good.html)
    rows = [row for heading in ("", *SECTIONS) for rows in good.tables(heading) for row in rows]
    assert good.html.count("<tr>") == len(rows)
    assert good.html.count("<h2") == len(SECTIONS)


def test_the_summary_says_where_the_numbers_come_from(good: Report, holes: Report):
    num_runs = 60 + 400 + 840 + 140 + 20
    assert re.search(
        rf"{num_runs} runs, 17 of them trained for this report, in 61 s", good.markdown
    )
    assert "0 runs, 17 of them" in holes.markdown
    for package in ("Python 3.", "torch ", "mlflow "):
        assert package in good.markdown
    assert "Problems 1 to 3: 3 holds, 1 supported, 1 erratum." in good.markdown
    assert RULE in good.markdown


def test_the_summary_says_how_well_the_rule_tells_apart(good: Report, holes: Report):
    found = re.findall(r"Of these (\d+) mismatches (\d+) are rejected", good.markdown)
    ((mismatches, rejected),) = found
    assert int(mismatches) > 30
    assert int(rejected) >= 0.8 * int(mismatches)
    assert "these mismatches" not in holes.markdown


def test_what_was_typed_is_told_without_passwords(tmp_path: Path):
    typed = ["trainer.max_epochs=1", "tracking.uri=http://me:secret@host"]
    found = Findings([section("losses", lambda _: 0.9)], overrides=typed)
    text = write_report(tmp_path / "report.md", found)[0].read_text("utf-8")
    assert "The runs differ from the studies' by what was typed: `trainer.max_epochs=1" in text
    assert "secret" not in text


def test_a_seed_without_its_run_is_a_hole_in_its_own_cells(tmp_path: Path):
    def holed(name: str) -> Runs:
        printed = as_printed(shipped(name))
        return lambda entry: (
            None
            if config_of(entry).seed == 1 and config_of(entry).regularizer.name == "l1"
            else printed(entry)
        )

    found = report(tmp_path / "report.md", section("penalties", holed("penalties")))
    for row in found.tables("4.2: penalties")[0][1:]:
        is_hole = row[0].startswith("L1")
        assert row[5] == ("2 of 3" if is_hole else "3")
        assert row[6] == ("runs missing" if is_hole else "agrees")


def test_theory_stands_in_the_section_of_its_problem(good: Report):
    found = {
        heading: [row[0] for row in good.tables(heading)[0][1:]]
        for heading, part in SECTIONS.items()
        if part == "theory"
    }
    assert list(found.values()) == [["1.1"], ["1.2"], ["2.1", "2.4"], ["3.3"]]
    assert good.tables("3")[0][1] == ["3.3", "claim 3.3", "a | b", "1 of 1", "erratum"]


def test_no_cell_shows_what_is_no_number(good: Report, broken: Report, holes: Report):
    for found in (good, broken, holes):
        assert not re.search(r"\b(nan|inf)\b", found.markdown)


@pytest.mark.parametrize("names", [(), ("losses",), ("penalties", "sgd_network")], ids=" ".join)
def test_sections_of_studies_that_are_not_there_are_left_out(
    names: tuple[str, ...], tmp_path: Path
):
    found = report(tmp_path / "report.md", *(section(name, lambda _: 0.9) for name in names))
    assert found.headings == [head for head, part in SECTIONS.items() if part in names]
    assert all(image.is_file() for image in found.images)


@pytest.mark.parametrize("name", ["two words.md", "100%25.md"])
def test_the_figures_are_found_whatever_the_report_is_called(name: str, tmp_path: Path):
    found = report(tmp_path / name, section("penalties", lambda _: None))
    assert '<img src="data:image/png;base64,' in found.html


def test_the_words_of_the_report_travel_with_the_package():
    project = tomllib.loads((command.CHECKOUT / "pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["package-data"]["pipeline.reproduce"]
    folder = TEMPLATE.parent
    for path in (path for path in folder.rglob("*") if path.suffix in (".md", ".yaml")):
        inside = str(path.relative_to(folder))
        fits = [
            p for p in patterns if fnmatch.fnmatch(inside, p) and p.count("/") == inside.count("/")
        ]
        assert fits, inside


def test_every_study_has_its_place_in_the_template():
    places = set(re.findall(r"{{(.+?)}}", TEMPLATE.read_text("utf-8")))
    assert {f"study {name}" for name in NAMES} < places
    assert places > {"summary", "rule", "figures", "batch sizes"}


def test_the_code_that_the_report_names_is_there():
    paths = re.findall(r"`((?:pipeline|conf)/.+?)`", TEMPLATE.read_text("utf-8"))
    assert len(paths) > 4
    assert [path for path in paths if not (command.CHECKOUT / path).exists()] == []
