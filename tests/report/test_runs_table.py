from __future__ import annotations

import csv
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

from rich.console import Console

from pipeline.report.runs_table import runs_table, write_csv
from pipeline.tracking.record import RunResult


def result(
    run_id: str,
    params: dict[str, str],
    accuracy: float | None = None,
    status: str = "FINISHED",
    error: str | None = None,
) -> RunResult:
    metrics = {}
    if accuracy is not None:
        metrics = {"val/accuracy": accuracy, "test/accuracy": 0.5, "time/fit_s": 0.25}
    return RunResult(run_id, f"name of {run_id}", status, params, metrics, 1.25, error, {}, {})


RESULTS = [
    result("a", {"loss.name": "mse", "seed": "0", "optimizer.lr": "1e-3"}, 0.9031),
    result("b", {"loss.name": "ce", "seed": "0", "optimizer.lr": "1e-3"}, 0.9175),
    result(
        "c",
        {"loss.name": "nll", "seed": "1", "optimizer.lr": "1e-3", "dropout.p_keep": "0.5"},
        status="FAILED",
        error='diverged, "badly"\nat step 3',
    ),
]


def shown(results: Sequence[RunResult], title: str = "loss=mse,ce", width: int = 160) -> str:
    console = Console(file=StringIO(), width=width, color_system="truecolor", force_terminal=True)
    with console.capture() as capture:
        console.print(runs_table(results, title=title))
    return capture.get()


def test_the_table_has_a_row_per_run_with_what_varied():
    text = shown(RESULTS[:2])
    (first,) = [line for line in text.splitlines() if "0.9031" in line]
    (second,) = [line for line in text.splitlines() if "0.9175" in line]
    assert "mse" in first
    assert "ce" in second
    assert "loss=mse,ce" in text.splitlines()[0]
    assert "seed" not in text


def test_a_seed_that_varied_is_shown():
    assert "seed" in shown(RESULTS)


def test_the_best_run_on_validation_alone_stands_out():
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


def test_losses_of_different_kinds_are_not_put_in_one_column():
    alike = [result(name, {"seed": name}, 0.9) for name in ("0", "1")]
    assert "test loss" in shown(alike)
    assert "test loss" not in shown(RESULTS)


def test_a_run_takes_its_own_share_of_the_time():
    assert "0.25" in shown(RESULTS[:1])


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


def test_ids_are_as_short_as_tells_them_apart_and_whole_on_80_columns():
    ids = [f"0123456789abcd{i}{17 * 'f'}" for i in range(3)]
    text = shown([result(it, {"seed": str(i)}, 0.9) for i, it in enumerate(ids)], width=80)
    assert all(run_id[:15] in text for run_id in ids)
    assert ids[0][:16] not in text


def test_brackets_are_text():
    run = result("d", {"model.hidden": "[a]"}, 0.5)
    other = result("e", {"model.hidden": "[bold]"}, 0.6)
    text = shown([run, other], title="model.hidden=[a],[bold]")
    assert "model.hidden=[a],[bold]" in text
    assert "[bold]" in text.partition("test accuracy")[2]


def test_the_csv_gives_back_every_number_in_full(tmp_path: Path):
    path = tmp_path / "results.csv"
    precise = result("p", {"loss.name": "ce"}, 1 / 3)
    write_csv(path, [precise, *RESULTS])
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["run_id"] for row in rows] == ["p", "a", "b", "c"]
    assert float(rows[0]["val/accuracy"]) == 1 / 3
    assert rows[0]["time/fit_s"] == "0.25"
    assert rows[3]["val/accuracy"] == ""
    assert rows[3]["error"] == RESULTS[2].error
