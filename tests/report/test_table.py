from __future__ import annotations

import subprocess
import sys
from io import StringIO

from markdown_it import MarkdownIt
from rich.console import Console

from pipeline.report.table import Table


def test_a_table_is_one_for_markdown():
    text = Table(["name", "value"], [["a | b", "1"], ["c\\d", "2"]], " r").markdown()
    tokens = MarkdownIt().enable("table").parse(text)
    inside = [token.content for token in tokens if token.type == "inline"]
    assert inside == ["name", "value", "a | b", "1", "c\\d", "2"]
    starts = [token for token in tokens if token.type == "td_open"]
    assert [token.attrGet("style") for token in starts] == [None, "text-align:right"] * 2


def test_a_table_may_have_no_rows():
    assert Table(["a", "b"], []).markdown() == "| a | b |\n| --- | --- |"


def test_a_note_is_below_the_table():
    table = Table(["a"], [["1" * 30]], title="shown on the terminal", note="1 of 2 [runs]")
    assert table.markdown().endswith(" |\n\n1 of 2 [runs]")
    console = Console(file=StringIO(), width=80)
    with console.capture() as capture:
        console.print(table)
    lines = capture.get().splitlines()
    assert lines[0].strip() == "shown on the terminal"
    assert lines[-1].strip() == "1 of 2 [runs]"


def test_a_narrow_terminal_breaks_texts_but_no_ids():
    table = Table(["words", "id"], [["many words " * 9, "0123456789abcdef"]], unbroken=["id"])
    console = Console(file=StringIO(), width=40)
    with console.capture() as capture:
        console.print(table)
    assert "0123456789abcdef" in capture.get()
    assert capture.get().count("many") == 9


def test_tables_need_no_matplotlib():
    code = "import sys, pipeline.report.table; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
