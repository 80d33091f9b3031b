"""The report of a sweep: one HTML page that needs no other file, and Markdown with figures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from pipeline.comparison.comparison import Answer, Comparison
from pipeline.comparison.words import method, sentences
from pipeline.report.answer import as_markdown, comparison_table, shown_rows
from pipeline.report.charts.spec import LIGHT, Spec, save_png
from pipeline.report.html import frame

__all__ = ["Figure", "write_report"]

MAX_ROWS = 2_000
"""Rows of a table on the page, at most."""

LIBRARY = "window.vegaEmbed = vegaEmbed;"
"""What of the library of figures the page uses."""

DARK: Spec = {
    "background": None,
    "view": {"stroke": None},
    "axis": {"gridOpacity": 0.2, "domainColor": "#9aa4af", "tickColor": "#9aa4af"},
    **{
        part: {"labelColor": "#e6e8eb", "titleColor": "#e6e8eb"}
        for part in ("axisX", "axisY", "legend", "header")
    },
    "title": {"color": "#e6e8eb"},
    "rule": {"color": "#e6e8eb"},
    "point": {"color": "#56b4e9"},
}
"""The look of a figure on a dark page."""

STYLE = """
th.sortable { cursor: pointer; user-select: none; }
th[aria-sort="ascending"]::after { content: " ▲"; }
th[aria-sort="descending"]::after { content: " ▼"; }
.answer { font-size: 1.1rem; }
.figure { margin: 1rem 0 2rem; overflow-x: auto; }
details { margin: 1rem 0; }
@media print { .figure, tr { break-inside: avoid; } details, .wide { overflow: visible; } }
"""

RIGHT = " style='text-align: right'"

SCRIPT = """
for (const table of document.querySelectorAll("table")) {
  table.querySelectorAll("th").forEach((head, column) => {
    head.classList.add("sortable");
    head.tabIndex = 0;
    const sort = () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      table.querySelectorAll("th").forEach(other => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const body = table.tBodies[0];
      const key = row => row.cells[column].textContent.replace("−", "-").replace("< ", "");
      const compare = (a, b) => {
        const [x, y] = [parseFloat(key(a)), parseFloat(key(b))];
        const order = isNaN(x) || isNaN(y) ? key(a).localeCompare(key(b)) : x - y;
        return up ? order : -order;
      };
      [...body.rows].sort(compare).forEach(row => body.append(row));
    };
    head.addEventListener("click", sort);
    head.addEventListener("keydown", event => event.key === "Enter" && sort());
  });
}
const dark = matchMedia("(prefers-color-scheme: dark)");
const draw = () => {
  for (const [id, spec] of Object.entries(figures)) {
    vegaEmbed("#" + id, spec, {
      actions: false, renderer: "svg", ast: false, config: dark.matches ? looks.dark : looks.light,
    });
  }
};
dark.addEventListener("change", draw);
draw();
"""


@dataclass(frozen=True)
class Figure:
    """A figure of a report."""

    name: str
    """The name of its file, without .png."""
    title: str
    spec: Spec


def write_report(folder: Path, answer: Answer, figures: Sequence[Figure]) -> list[Path]:
    """Write report.html, report.md and a PNG for each figure; return the files.

    Args:
        folder: where to; it is there.
        answer: what to tell.
        figures: in their order.
    """
    page, markdown = folder / "report.html", folder / "report.md"
    page.write_text(_page(answer, figures), encoding="utf-8")
    parts = [f"# {answer.title}", as_markdown(answer)]
    files = [page, markdown]
    for figure in figures:
        files.append(folder / f"{figure.name}.png")
        save_png(figure.spec, files[-1])
        parts.append(f"## {figure.title}\n\n![{figure.title}]({figure.name}.png)")
    markdown.write_text("\n\n".join([*parts, _sources(answer)]) + "\n", encoding="utf-8")
    return files


def _page(answer: Answer, figures: Sequence[Figure]) -> str:
    import vl_convert

    told = "".join(f"<p class='answer'>{escape(it)}</p>\n" for it in sentences(answer))
    notes = "".join(f"<p>Note: {escape(note)}</p>\n" for note in answer.notes)
    commands = "".join(
        f"<p>For {escape(what)}:</p><pre><code>{escape(command)}</code></pre>\n"
        for what, command in answer.commands.items()
    )
    tables = "".join(
        f"<h2>{escape(effect.names[effect.keys[0]])}, averaged over the other keys</h2>"
        f"{_table(effect, answer)}"
        for effect in answer.effects
    )
    drawn = "".join(
        f"<h2>{escape(figure.title)}</h2><div class='figure' id='{figure.name}'></div>\n"
        for figure in figures
    )
    body = (
        f"<h1>{escape(answer.title)}</h1>\n{told}{notes}{tables}<h2>All cells</h2>"
        f"{_table(answer.cells, answer)}<p>{escape(method(answer))}</p>{commands}{drawn}"
        f"<h2>Where the numbers come from</h2>{_runs(answer)}<p>{escape(_sources(answer))}</p>"
    )
    data = {figure.name: figure.spec for figure in figures}
    scripts = (
        f"<script>{_inline(vl_convert.javascript_bundle(LIBRARY))}</script>\n<script>\n"
        f"const figures = {_literal(data)};\n"
        f"const looks = {json.dumps({'light': LIGHT, 'dark': DARK})};\n{SCRIPT}</script>\n"
    )
    return frame(body, title=answer.title, style=STYLE, scripts=scripts)


def _inline(script: str) -> str:
    """Return a script as it may stand inside a page."""
    return script.replace("</script", "<\\/script")


def _literal(data: Mapping[str, Spec]) -> str:
    """Return data as they may stand in a script inside a page: no text in them can end it."""
    return json.dumps(data).replace("<", "\\u003c")


def _cells(tag: str, texts: Sequence[str], styles: Sequence[str]) -> str:
    """Return a row's cells, each with its style."""
    return "".join(
        f"<{tag}{style}>{escape(text)}</{tag}>" for text, style in zip(texts, styles, strict=True)
    )


def _table(comparison: Comparison, answer: Answer) -> str:
    table = comparison_table(comparison, answer, max_rows=MAX_ROWS)
    aligned = [RIGHT if align == "r" else "" for align in table.align.ljust(len(table.header))]
    head = _cells("th", table.header, aligned)
    rows = "".join(f"<tr>{_cells('td', row, aligned)}</tr>\n" for row in table.rows)
    note = f"<p>{escape(table.note)}</p>" if table.note else ""
    return (
        f"<div class='wide'><table><thead><tr>{head}</tr></thead><tbody>\n{rows}</tbody></table>"
        f"</div>{note}\n"
    )


def _runs(answer: Answer) -> str:
    """Return the runs behind every row."""
    rows = shown_rows(answer.cells, answer, MAX_ROWS)
    told = "".join(
        f"<tr><td>{escape(' '.join(row.values.values()))}</td>"
        f"<td>{'<br>'.join(escape(run.run_id) for run in row.runs)}</td></tr>\n"
        for row in rows
    )
    return (
        "<details><summary>The runs of each row</summary><table><thead><tr><th>cell</th>"
        f"<th>runs</th></tr></thead><tbody>\n{told}</tbody></table></details>\n"
    )


def _sources(answer: Answer) -> str:
    """Return which code and data the runs come of."""
    runs = [run for row in answer.cells.rows for run in row.runs]
    told = {
        name: ", ".join(sorted({run.tags[tag][:12] for run in runs if tag in run.tags}))
        for name, tag in (("commit", "git.commit"), ("code", "code_hash"), ("data", "data_hash"))
    }
    known = ", ".join(f"{name} {value}" for name, value in told.items() if value)
    return f"{len(runs)} runs; {known}."
