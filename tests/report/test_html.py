from __future__ import annotations

from base64 import b64decode
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from pipeline.errors import UserError
from pipeline.report.html import to_html

if TYPE_CHECKING:
    from pathlib import Path

PNG = b"\x89PNG\r\n\x1a\nand the rest of a figure"

REPORT = """\
# Reproduction

See [losses](#three-losses) & the [project](https://example.org/).

## Three losses

![accuracy of *mse*, `ce` and nll](losses.png)

| loss | published | ours |
|:-----|----------:|:----:|
| mse  |    0.9020 | 0.9040 ± 0.0012 |
| a < b & "c" | 0.9167 | 0.9170 |

- one
- two

> quoted

---

```
code <b>
```
"""


class Page(HTMLParser):
    """A page as a browser reads it; a tag that is closed out of turn is an error."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in {"meta", "img", "hr", "br"}:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self._open[-1] if self._open else "", data))

    def attributes(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def text(self, tag: str) -> str:
        return "".join(text for inside, text in self.texts if inside == tag)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    report = tmp_path / "report"
    report.mkdir()
    for name in ("losses.png", "two words.png", "notes.txt"):
        (report / name).write_bytes(PNG)
    (tmp_path / "outside.png").write_bytes(PNG)
    return report


def page(markdown: str, folder: Path, title: str = "Report") -> Page:
    return Page(to_html(markdown, title=title, folder=folder))


def test_the_page_is_whole(folder: Path) -> None:
    report = page(REPORT, folder, title="Ours & <theirs>")
    assert report.html.startswith("<!DOCTYPE html>\n")
    assert report.attributes("html") == [{"lang": "en"}]
    assert report.text("title") == "Ours & <theirs>"
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in (
        report.attributes("meta")
    )
    assert "prefers-color-scheme: dark" in report.text("style")
    assert report.text("h1") == "Reproduction"
    assert report.text("li") == "onetwo"


def test_the_page_needs_nothing_else(folder: Path) -> None:
    report = page(REPORT, folder)
    tags = {tag for tag, _ in report.elements}
    assert tags.isdisjoint({"script", "link", "iframe", "object", "base"})
    assert "url(" not in report.text("style")
    assert "@import" not in report.text("style")
    sources = [str(attributes["src"]) for _, attributes in report.elements if "src" in attributes]
    assert sources
    assert all(source.startswith("data:") for source in sources)


@pytest.mark.parametrize("name", ["losses.png", "two%20words.png", "./losses.png"])
def test_a_figure_is_inside_the_page(folder: Path, name: str) -> None:
    report = page(f"![its *curve*]({name})", folder)
    (image,) = report.attributes("img")
    kind, _, data = str(image["src"]).partition(",")
    assert kind == "data:image/png;base64"
    assert b64decode(data) == PNG
    assert image["alt"] == "its curve"


def test_figures_are_found_in_any_place(folder: Path) -> None:
    markdown = "| a |\n|---|\n| ![](losses.png) |\n\n- [![][x]](#a)\n\n[x]: losses.png\n"
    sources = [str(image["src"]) for image in page(markdown, folder).attributes("img")]
    assert len(sources) == 2
    assert all(source.startswith("data:image/png;base64,") for source in sources)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing.png", r"there is no figure 'missing.png' in .*report"),
        ("https://example.org/a.png", r"there is no figure 'https://example.org/a.png'"),
        (".", r"there is no figure '\.'"),
        ("../outside.png", r"the figure '../outside.png' is outside .*report"),
        ("%2e%2e/outside.png", r"the figure '../outside.png' is outside"),
        ("/etc/hostname.png", r"the figure '/etc/hostname.png' is outside"),
        ("link.png", r"the figure 'link.png' is outside"),
        ("notes.txt", r"the figure 'notes.txt' has an unknown type; allowed are .*\.png"),
    ],
)
def test_a_figure_that_cannot_be_shown_is_named(folder: Path, name: str, message: str) -> None:
    (folder / "link.png").symlink_to(folder.parent / "outside.png")
    with pytest.raises(UserError, match=message):
        to_html(f"text ![alt]({name})", title="", folder=folder)


def test_links_lead_to_headings(folder: Path) -> None:
    report = page(REPORT, folder)
    targets = [str(link["href"]) for link in report.attributes("a")]
    assert targets == ["#three-losses", "https://example.org/"]
    assert report.attributes("h2") == [{"id": "three-losses"}]


def test_every_heading_has_its_own_id(folder: Path) -> None:
    markdown = "# Penalties: λ & `p_keep` (4.2)\n# A\n# A-1\n# A\n# *A*\n# !\n# a <b>\n"
    report = page(markdown, folder)
    assert [heading["id"] for heading in report.attributes("h1")] == [
        "penalties-λ--p_keep-42",
        "a",
        "a-1",
        "a-2",
        "a-3",
        "section",
        "a-b",
    ]


def test_a_table_keeps_its_alignment_and_scrolls_in_its_box(folder: Path) -> None:
    report = page(REPORT, folder)
    tags = [tag for tag, _ in report.elements]
    assert tags[tags.index("table") - 1] == "div"
    assert report.attributes("div")[0]["class"] == "wide"
    assert [cell["style"] for cell in report.attributes("td")[:3]] == [
        "text-align:left",
        "text-align:right",
        "text-align:center",
    ]
    assert ".wide" in report.text("style")


def test_what_looks_like_html_is_text(folder: Path) -> None:
    markdown = (
        "# 1 < 2 & <b>\n\n| <i>a</i> |\n|---|\n| x < y & z |\n\n<script>alert(1)</script>\n"
        "\n[go](javascript:alert(1))\n"
    )
    report = page(markdown, folder)
    assert report.text("h1") == "1 < 2 & <b>"
    assert report.text("th") == "<i>a</i>"
    assert report.text("td") == "x < y & z"
    assert "<script>alert(1)</script>" in report.text("p")
    assert {tag for tag, _ in report.elements}.isdisjoint({"b", "i", "script", "a"})


def test_an_empty_report_is_a_page(folder: Path) -> None:
    assert page("", folder).text("title") == "Report"
