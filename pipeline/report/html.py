"""A Markdown report as one HTML page that needs no other file."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from html import escape
from itertools import chain, count, pairwise
from pathlib import Path
from urllib.parse import unquote

from markdown_it import MarkdownIt
from markdown_it.token import Token

from pipeline.errors import UserError

__all__ = ["frame", "to_html"]

_MEDIA_TYPES = {".jpg": "image/jpeg", ".png": "image/png", ".svg": "image/svg+xml"}

_STYLE = """
:root {
  color-scheme: light dark;
  --text: #1f2328; --quiet: #59636e; --page: #ffffff; --stripe: #f5f7f9;
  --line: #d8dee4; --link: #0072b2;
}
@media (prefers-color-scheme: dark) {
  :root {
    --text: #e6e8eb; --quiet: #9aa4af; --page: #15181c; --stripe: #1d2126;
    --line: #353b43; --link: #56b4e9;
  }
}
* { box-sizing: border-box; }
body {
  max-width: 62rem; margin: 0 auto; padding: 1.5rem 1rem 4rem;
  background: var(--page); color: var(--text);
  font: 1rem/1.6 system-ui, sans-serif; overflow-wrap: break-word;
}
h1, h2, h3, h4, h5, h6 { margin: 2em 0 0.5em; line-height: 1.25; text-wrap: balance; }
h1 { margin-top: 0.5em; font-size: 1.9rem; }
h2 { padding-bottom: 0.25em; border-bottom: 1px solid var(--line); font-size: 1.4rem; }
h3, h4, h5, h6 { font-size: 1.15rem; }
p, ul, ol, blockquote { max-width: 46rem; }
p:has(> img) { max-width: none; }
a { color: var(--link); }
img { display: block; max-width: 100%; height: auto; margin: 1.25rem 0; border-radius: 6px; }
blockquote { margin-left: 0; padding-left: 1em; border-left: 3px solid; color: var(--quiet); }
hr { margin: 2em 0; border: 0; border-top: 1px solid var(--line); }
code, pre { font-family: ui-monospace, monospace; font-size: 0.9em; background: var(--stripe); }
code { padding: 0.1em 0.3em; border-radius: 4px; }
pre { padding: 0.8em 1em; border-radius: 6px; overflow-x: auto; }
pre code { padding: 0; font-size: 1em; }
.wide { margin: 1.25rem 0; overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.92rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.35em 0.8em; border-bottom: 1px solid var(--line); overflow-wrap: normal; }
th { border-bottom-width: 2px; text-align: left; vertical-align: bottom; }
td { vertical-align: top; }
td[style*="right"] { white-space: nowrap; }
tbody tr:nth-child(even) { background: var(--stripe); }
"""


def to_html(markdown: str, *, title: str, folder: Path) -> str:
    """Return the Markdown as one HTML page, with its figures and its stylesheet inside.

    Headings get ids as on GitHub ("Three losses" becomes "three-losses"), so that links such as
    `[losses](#three-losses)` lead to them. HTML in the Markdown is shown as text.

    Args:
        markdown: CommonMark, with tables.
        title: Of the page, as the browser's tab shows it.
        folder: Where the figures are; their paths in the Markdown are relative to it.

    Raises:
        UserError: A figure is missing, outside the folder, or of an unknown type.
    """
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(markdown)
    _name_headings(tokens)
    _embed_images(tokens, folder.resolve())
    body: str = parser.renderer.render(list(_box_tables(tokens)), parser.options, {})
    return frame(body, title=title)


def frame(body: str, *, title: str, style: str = "", scripts: str = "") -> str:
    """Return a page that needs no other file.

    Args:
        body: HTML.
        title: Of the page, as the browser's tab shows it.
        style: CSS beside that of all pages.
        scripts: HTML behind the body.
    """
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{_STYLE}{style}</style>
</head>
<body>
<main>
{body}</main>
{scripts}</body>
</html>
"""


def _name_headings(tokens: Iterable[Token]) -> None:
    """Give every heading an id: its words, numbered if an earlier heading has them."""
    taken: set[str] = set()
    for opening, inline in pairwise(tokens):
        if opening.type == "heading_open":
            slug = _slug(inline)
            numbered = (f"{slug}-{number}" for number in count(1))
            name = next(name for name in chain([slug], numbered) if name not in taken)
            opening.attrSet("id", name)
            taken.add(name)


def _slug(heading: Token) -> str:
    """Return a heading's words, joined by hyphens, without punctuation."""
    parts = (child for child in heading.children or [] if child.type in ("text", "code_inline"))
    text = "".join(part.content for part in parts).strip().lower()
    return re.sub(r"[^\w -]", "", text).replace(" ", "-") or "section"


def _embed_images(tokens: Iterable[Token], folder: Path) -> None:
    """Put the figures themselves in the place of their names."""
    for token in tokens:
        _embed_images(token.children or [], folder)
        if token.type == "image":
            token.attrSet("src", _data_uri(unquote(str(token.attrs["src"])), folder))


def _data_uri(name: str, folder: Path) -> str:
    path = (folder / name).resolve()
    if not path.is_relative_to(folder):
        raise UserError(f"the figure {name!r} is outside {folder}; put it into that folder")
    if not path.is_file():
        raise UserError(f"there is no figure {name!r} in {folder}; name a file in that folder")
    media_type = _MEDIA_TYPES.get(path.suffix.lower())
    if media_type is None:
        allowed = ", ".join(_MEDIA_TYPES)
        raise UserError(f"the figure {name!r} has an unknown type; allowed are {allowed}")
    return f"data:{media_type};base64,{b64encode(path.read_bytes()).decode()}"


def _box_tables(tokens: Iterable[Token]) -> Iterator[Token]:
    """Put each table into a box of its own, in which a wide one scrolls."""
    for token in tokens:
        if token.type == "table_open":
            yield Token("box_open", "div", 1, attrs={"class": "wide", "tabindex": "0"}, block=True)
        yield token
        if token.type == "table_close":
            yield Token("box_close", "div", -1, block=True)
