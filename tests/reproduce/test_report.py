from __future__ import annotations

import fnmatch
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.config.schema import Config
from pipeline.reproduce.report import TEMPLATE, Findings, write_report
from pipeline.reproduce.runs import StudyRuns
from pipeline.reproduce.verdicts import RULE
from pipeline.theory.batch_size import Best, Comparison, Measurement
from pipeline.theory.claim import Claim, Outcome
from tests import command
from tests.reproduce.hand_made import REFERENCE, Curves, as_printed, cells_of, make

SECTIONS = {
    "1.1: why gradient descent goes down": "theory",
    "1.2: mini-batches of one, of some and of all": "theory",
    "1.3: the network that stops at 83.85 %": "sgd_network",
    "2: backpropagation in matrix form": "theory",
    "3: the cross-entropy, and an example by hand": "theory",
    "4.1: three losses": "losses",
    "4.2: penalties": "penalties",
    "4.2: dropout": "dropout",
    "4: what the text concludes": "claims",
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

    def tables(self, heading: str = "") -> list[list[list[str]]]:
        """The tables of a section, or of the beginning."""
        sections = re.split(r"^## Problem ", self.markdown, flags=re.MULTILINE)
        (text,) = [part for part in sections if part.startswith(heading or "# ")]
        blocks = re.findall(r"(?:^\|.*\n?)+", text, re.MULTILINE)
        return [cells_of(block.strip()) for block in blocks]


def report(path: Path, *studies: StudyRuns, theory: bool = False) -> Report:
    by_name = {runs.name: runs for runs in studies}
    findings = Findings(REFERENCE, by_name, num_trained=17, seconds=61.3)
    if theory:
        best = Best(0.3, 0.2)
        measured = tuple(Measurement(n, 1e-4, 0.5, 0.1, best, best) for n in (1, 10, 1000))
        findings.comparison = Comparison("digits", 1000, 1.0, measured)
        findings.theory = THEORY
    files = write_report(path, findings)
    return Report(files, files[0].read_text("utf-8"), files[1].read_text("utf-8"))


def some_missing(config: Config) -> Curves | None:
    missing = config.seed == 1 and config.regularizer.name == "l1"
    return None if missing else as_printed(config)


def first_seed(config: Config) -> Curves | None:
    return {} if config.seed == 0 else None


@pytest.fixture(scope="module")
def holes(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """A report on all studies: one complete, three with some runs, one without any."""
    studies = (
        make("losses", lambda _: None),
        make("penalties", some_missing),
        make("dropout", as_printed),
        make("claims", first_seed),
        make("sgd_network", lambda config: as_printed(config) if config.seed else None),
    )
    path = tmp_path_factory.mktemp("holes") / "not" / "there" / "report.md"
    return report(path, *studies, theory=True)


def test_every_section_is_there_in_the_texts_order(holes: Report):
    assert holes.headings == list(SECTIONS)
    assert "{{" not in holes.markdown


def test_every_figure_that_the_report_names_was_drawn(holes: Report):
    assert len(holes.images) == 8
    for image in holes.images:
        assert image.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert sorted(holes.files[2:]) == sorted(holes.images)


def test_the_page_needs_no_other_file(holes: Report):
    sources = re.findall(r'src="(.{22})', holes.html)
    assert sources == ["data:image/png;base64,"] * 8
    assert not re.findall(r"<(link|script|iframe)\b|@import|url\(", holes.html)


def test_the_page_says_what_the_markdown_says(holes: Report):
    assert holes.files[1] == holes.files[0].with_suffix(".html")
    rows = [row for heading in ("", *SECTIONS) for rows in holes.tables(heading) for row in rows]
    assert holes.html.count("<tr>") == len(rows)
    assert holes.html.count("<h2") == len(SECTIONS)
    assert "runs missing" in holes.html


def test_the_summary_counts_the_verdicts_of_every_study(holes: Report):
    (counts,) = holes.tables()
    assert counts == [
        ["", "inside", "close", "different", "not settled", "too few seeds", "runs missing", "of"],
        ["losses", "0", "0", "0", "0", "0", "30", "30"],
        ["penalties", *counts[2][1:3], "0", "0", *counts[2][5:7], "14"],
        ["dropout", *counts[3][1:3], "0", "0", *counts[3][5:7], "7"],
        ["sgd_network", "0", "0", "0", "0", "0", "30", "30"],
    ]
    assert sum(map(int, counts[2][1:7])) == 14


def test_the_summary_says_where_the_numbers_come_from(holes: Report):
    num_runs = 0 + (42 - 7) + 126 + 3 + 2
    assert f"{num_runs} runs, 17 of them trained for this report, in 61 s" in holes.markdown
    for package in ("Python 3.", "torch ", "mlflow "):
        assert package in holes.markdown
    assert "Problems 1 to 3: 3 holds, 1 supported, 1 erratum." in holes.markdown
    assert RULE in holes.markdown


def test_a_study_without_any_run_shows_what_was_published_and_holes(holes: Report):
    (rows,) = holes.tables("4.1")
    assert len(rows) == 31
    for row in rows[1:]:
        assert row[2:] == ["", "", "0 of 3", "", "runs missing"]
        assert 0 < float(row[1]) < 1


def test_a_study_with_some_runs_shows_the_others_as_holes(holes: Report):
    (rows,) = holes.tables("4.2: penalties")
    for row in rows[1:]:
        is_hole = row[0].startswith("L1")
        assert row[4] == ("2 of 3" if is_hole else "3")
        assert (row[6] == "runs missing") == is_hole


def test_bands_with_missing_runs_say_so(holes: Report):
    bands, epochs = holes.tables("1.3")
    assert bands[1][:2] == ["8385", "2"]
    assert "\n1 of 3 runs are missing.\n" in holes.markdown
    assert [row[4] for row in epochs[1:]] == ["2 of 3"] * 30


def test_nothing_is_concluded_from_what_is_incomplete(holes: Report):
    (rows,) = holes.tables("4: what")
    assert [row[1] for row in rows[1:]] == ["runs missing"] * 6
    assert "9 of its runs are missing" in rows[1][2]
    assert "Conclusions of Problem 4: 6 runs missing." in holes.markdown


def test_a_complete_study_beside_others_is_judged(holes: Report):
    printed, readings = holes.tables("4.2: dropout")
    assert {row[6] for row in printed[1:]} <= {"inside", "close"}
    assert readings[-1][2:] == ["7 of 7 agree", *["0 of 7 agree"] * 5]


def test_theory_stands_in_the_section_of_its_problem(holes: Report):
    found = {
        heading: [row[0] for row in holes.tables(heading)[0][1:]]
        for heading, part in SECTIONS.items()
        if part == "theory"
    }
    assert list(found.values()) == [["1.1"], ["1.2"], ["2.1", "2.4"], ["3.3"]]
    assert holes.tables("3")[0][1] == ["3.3", "claim 3.3", "a | b", "1 of 1", "erratum"]


def test_no_cell_shows_what_is_no_number(holes: Report):
    assert not re.search(r"\bnan\b", holes.markdown)


@pytest.mark.parametrize(
    "studies", [(), ("losses",), ("penalties", "sgd_network"), ("claims",)], ids=" ".join
)
def test_sections_of_studies_that_are_not_there_are_left_out(
    studies: tuple[str, ...], tmp_path: Path
):
    found = report(tmp_path / "report.md", *(make(name, lambda _: None) for name in studies))
    # What the text concludes takes the runs of the other studies too.
    wanted = [head for head, part in SECTIONS.items() if part in studies and part != "claims"]
    assert found.headings == wanted
    assert all(image.is_file() for image in found.images)
    assert f"0 runs, {17} of them" in found.markdown


def test_conclusions_are_drawn_once_all_studies_are_complete(tmp_path: Path):
    names = ("losses", "penalties", "dropout", "claims")
    found = report(tmp_path / "report.md", *(make(name, trained) for name in names))
    (rows,) = found.tables("4: what")
    assert "runs missing" not in {row[1] for row in rows}
    assert found.headings == list(SECTIONS)[-4:]


def trained(config: Config) -> float:
    """Not quite the same for any two runs."""
    strength, p_keep = config.regularizer.strength, config.dropout.p_keep or 1
    return 0.9 - 5 * strength - 0.1 * (1 - p_keep) + 0.001 * config.seed


@pytest.mark.parametrize("name", ["two words.md", "100%25.md"])
def test_the_figures_are_found_whatever_the_report_is_called(name: str, tmp_path: Path):
    found = report(tmp_path / name, make("penalties", lambda _: None))
    assert '<img src="data:image/png;base64,' in found.html


def test_the_words_of_the_report_travel_with_the_package():
    project = tomllib.loads((command.CHECKOUT / "pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["package-data"]["pipeline.reproduce"]
    for path in TEMPLATE.parent.iterdir():
        if path.suffix in (".md", ".yaml"):
            assert any(fnmatch.fnmatch(path.name, pattern) for pattern in patterns), path.name


def test_every_place_of_the_template_is_filled_by_something():
    places = set(re.findall(r"{{(.+?)}}", TEMPLATE.read_text("utf-8")))
    assert places >= {"summary", "rule", "figures", "losses", "sgd_network bands", "claims"}
    commands = re.findall(r"python -m pipeline\.reproduce (\w+)", TEMPLATE.read_text("utf-8"))
    assert set(commands) == {"losses", "penalties", "dropout", "claims", "sgd_network"}


def test_the_code_that_the_report_names_is_there():
    paths = re.findall(r"`((?:pipeline|conf)/.+?)`", TEMPLATE.read_text("utf-8"))
    assert len(paths) > 10
    assert [path for path in paths if not (command.CHECKOUT / path).exists()] == []
