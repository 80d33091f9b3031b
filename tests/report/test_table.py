from __future__ import annotations

import csv
import subprocess
import sys
from io import StringIO
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt
from rich.console import Console

from pipeline.report.table import Table, label, make_table, varied_params, write_csv
from pipeline.tracking.record import RunResult

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def result(
    run_id: str,
    params: dict[str, str],
    accuracy: float | None = None,
    status: str = "FINISHED",
    error: str | None = None,
) -> RunResult:
    metrics = {} if accuracy is None else {"test/accuracy": accuracy, "test/loss": 1 - accuracy}
    return RunResult(run_id, f"name of {run_id}", status, params, metrics, 1.25, error, {}, {})


RESULTS = [
    result("a", {"loss.name": "mse", "seed": "0", "optimizer.lr": "1e-3"}, 0.9031),
    result("b", {"loss.name": "ce", "seed": "0", "optimizer.lr": "1e-3"}, 0.9175),
    result(
        "c",
        {"loss.name": "nll", "seed": "0", "optimizer.lr": "1e-3", "dropout.p_keep": "0.5"},
        status="FAILED",
        error='diverged, "badly"\nat step 3',
    ),
]


def shown(results: Sequence[RunResult], title: str = "loss=mse,ce") -> str:
    console = Console(file=StringIO(), width=160, color_system="truecolor", force_terminal=True)
    with console.capture() as capture:
        console.print(make_table(results, title=title, keys=varied_params(results)))
    return capture.get()


def test_only_what_differs_has_varied():
    assert varied_params(RESULTS[:2]) == ["loss.name"]


def test_a_param_that_some_runs_lack_has_varied():
    assert varied_params(RESULTS) == ["loss.name", "dropout.p_keep"]


def test_in_a_single_run_nothing_has_varied():
    assert varied_params(RESULTS[:1]) == varied_params([]) == []


def test_a_label_sets_a_run_apart():
    assert label(RESULTS[2], ["loss.name", "dropout.p_keep"]) == "loss.name=nll dropout.p_keep=0.5"
    assert label(RESULTS[0], ["loss.name", "dropout.p_keep"]) == "loss.name=mse"


def test_a_run_that_nothing_sets_apart_goes_by_its_name():
    assert label(RESULTS[0], []) == "name of a"


def test_the_table_has_a_row_per_run():
    lines = shown(RESULTS[:2]).splitlines()
    (first,) = [line for line in lines if "0.9031" in line]
    (second,) = [line for line in lines if "0.9175" in line]
    assert "mse" in first
    assert "ce" in second
    assert "loss=mse,ce" in lines[0]


def test_the_best_run_alone_stands_out():
    lines = shown(RESULTS[:2]).splitlines()
    assert ["\x1b[1;32m" in line for line in lines if "0.90" in line or "0.91" in line] == [
        False,
        True,
    ]


def test_a_single_run_is_not_praised():
    assert "\x1b[1;32m" not in shown(RESULTS[:1])


def test_the_status_is_shown_once_one_is_not_finished():
    assert "status" not in shown(RESULTS[:2])
    assert "FAILED" in shown(RESULTS)


def test_no_runs_make_an_empty_table():
    assert "test accuracy" in shown([])


def test_a_long_table_shows_failed_runs_and_the_best_ones():
    many = [result(f"run{i}", {"seed": str(i)}, i / 100) for i in range(99)]
    broken = result("broken", {"seed": "99"}, status="FAILED")
    text = shown([*many, broken], title="many")
    assert "broken" in text
    assert "run98" in text
    assert "run10 " not in text
    assert "60 of 100 runs" in text


def test_brackets_are_text():
    run = result("d", {"model.hidden": "[a]"}, 0.5)
    other = result("e", {"model.hidden": "[bold]"}, 0.6)
    text = shown([run, other], title="model.hidden=[a],[bold]")
    assert "model.hidden=[a],[bold]" in text
    assert "[bold]" in text.partition("test accuracy")[2]


def test_the_csv_gives_back_every_number_in_full(tmp_path: Path):
    path = tmp_path / "results.csv"
    precise = result("p", {"loss.name": "ce"}, 1 / 3)
    write_csv(path, [precise, *RESULTS], ["loss.name", "dropout.p_keep"])
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["run_id"] for row in rows] == ["p", "a", "b", "c"]
    assert float(rows[0]["test/accuracy"]) == 1 / 3
    assert rows[0]["seconds"] == "1.25"
    assert rows[1]["dropout.p_keep"] == ""
    assert rows[3]["test/accuracy"] == ""
    assert rows[3]["error"] == RESULTS[2].error


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
