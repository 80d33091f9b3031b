"""The command that answers: from the store alone, local or a server's."""

from __future__ import annotations

import csv
import json
import re
import shlex
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from tests import command
from tests.command import Done
from tests.faults import moments
from tests.faults.moments import Moment
from tests.mlflow_server import Server

SWEEP = ("-m", "loss=mse,nll", "seed=range(0,5)", "trainer.max_epochs=2")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("compare")
    done = command.train(root, *SWEEP)
    assert done.code == 0, done.stderr
    return root


def compare(root: Path, *arguments: str) -> Done:
    return command.run(root, *arguments, f"root={root}", module="pipeline.compare")


def answer(root: Path, *arguments: str) -> dict[str, Any]:
    done = compare(root, *arguments, "--json")
    assert done.code == 0, done.stderr
    return json.loads(done.stdout)


def accuracies(root: Path, loss: str) -> list[float]:
    runs = [run for run in command.children(root) if run.data.params["loss.name"] == loss]
    runs.sort(key=lambda run: int(run.data.params["seed"]))
    return [run.data.metrics["val/accuracy"] for run in runs]


def test_the_last_sweep_is_compared(root: Path):
    done = compare(root)
    assert (done.code, done.stderr) == (0, "")
    assert "loss=nll is better than loss=mse: its validation accuracy is" in done.stdout
    assert "5 seeds, paired" in done.stdout


def test_runs_that_were_attacked_are_compared_by_what_became_of_them(tmp_path: Path):
    grid = ("-m", "attack=fgsm", "attack.epsilon=0,0.05,0.25", "seed=0,1,2")
    done = command.train(tmp_path, *grid, "trainer.max_epochs=3")
    assert (done.code, done.stderr) == (0, "")
    assert "9/9 members" in done.stdout  # one group
    for run in command.children(tmp_path):
        metrics = run.data.metrics
        assert list(command.history(tmp_path, run, "test/adversarial_confidence")) == [1, 2, 3]
        unperturbed = run.data.params["attack.epsilon"] == "0"
        assert (metrics["test/adversarial_accuracy"] == metrics["test/accuracy"]) == unperturbed
    found = answer(tmp_path, "--metric", "test/adversarial_accuracy")
    means = [row["mean"] for row in found["rows"]]
    assert means == sorted(means, reverse=True)
    said = compare(tmp_path, "--metric", "test/adversarial_accuracy").stdout
    assert "epsilon=0 is better than epsilon=0.25: its test adversarial accuracy is" in said


def test_the_answer_is_part_of_what_the_sweep_printed(tmp_path: Path):
    done = command.train(tmp_path, *SWEEP)
    sweep_id = command.parent(tmp_path).info.run_id[:8]
    assert f"python -m pipeline.compare {sweep_id}" in done.stdout
    told = compare(tmp_path).stdout.replace(sweep_id, "")
    assert told.strip() in done.stdout.replace(sweep_id, "")


def test_json_has_the_numbers_of_the_runs(root: Path):
    found = answer(root, "last")
    assert (found["metric"], found["baseline"]) == ("val/accuracy", {"loss.name": "nll"})
    mse, nll = found["rows"]
    assert mse["cell"] == {"loss.name": "mse"}
    first, second = accuracies(root, "mse"), accuracies(root, "nll")
    assert mse["n"] == 5
    assert mse["mean"] == pytest.approx(sum(first) / 5)
    assert mse["difference"] == pytest.approx((sum(first) - sum(second)) / 5)
    assert mse["difference_low"] < mse["difference"] < mse["difference_high"] < 0
    assert (mse["verdict"], nll["verdict"], nll["difference"]) == ("worse", "baseline", None)
    ids = {run.info.run_id for run in command.children(root)}
    assert {*mse["run_ids"], *nll["run_ids"]} == ids


def test_csv_has_a_row_for_each_cell(root: Path):
    done = compare(root, "--csv")
    rows = list(csv.DictReader(StringIO(done.stdout)))
    assert [row["loss.name"] for row in rows] == ["mse", "nll"]
    assert float(rows[0]["mean"]) == pytest.approx(sum(accuracies(root, "mse")) / 5)


def test_runs_are_shown_one_by_one_with_ids_that_tell_them_apart(root: Path):
    done = compare(root, "--runs")
    shown = [line.split()[-1] for line in done.stdout.splitlines() if line.startswith(" mse")]
    assert len(set(shown)) == 5
    for short in shown:
        assert sum(run.info.run_id.startswith(short) for run in command.children(root)) == 1


@pytest.mark.parametrize(
    ("requirement", "code", "told"),
    [("nll > mse", 0, "holds"), ("mse > nll", 1, "doesn't hold")],
)
def test_a_requirement_is_the_exit_code(root: Path, requirement: str, code: int, told: str):
    done = compare(root, "--require", requirement)
    assert done.code == code
    assert f"{requirement}: {told}" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nonsense"], "nonsense: there is no such run, sweep or experiment. The newest sweeps:"),
        (["--metric", "val/acuracy"], "Did you mean val/accuracy?"),
        (["--by", "lr"], "--by=lr: must be one of loss"),
        (["--baseline", "ce"], "must be one of mse, nll"),
        (["--require", "nll < mse"], 'must be "A > B"'),
        (["--margin", "-1"], "must be a number > 0"),
        (["--runs", "--require", "nll > mse"], "Say one of the two."),
        (["tracking.uri=htp://x"], "tracking.uri=htp://x: "),
        (["tracking.experiment_name=other"], "other: there is no such run, sweep or experiment"),
    ],
)
def test_what_cannot_be_answered_is_one_error(root: Path, arguments: list[str], words: str):
    done = compare(root, *arguments)
    assert (done.code, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")
    assert words in done.stderr


def test_where_nothing_was_tracked_there_is_nothing_to_compare(tmp_path: Path):
    done = compare(tmp_path)
    assert (done.code, done.stdout) == (1, "")
    assert "there is no mlflow.db" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_sweeps_and_an_experiment_are_compared_together(tmp_path: Path):
    for loss in ("mse", "ce"):
        done = command.train(tmp_path, "-m", f"loss={loss}", "seed=range(0,3)", "data.num_val=100")
        assert done.code == 0, done.stderr
    parents = [run.info.run_id[:8] for run in command.runs(tmp_path) if "sweep" in run.data.tags]
    together = answer(tmp_path, *parents)
    assert [row["cell"] for row in together["rows"]] == [{"loss.name": "mse"}, {"loss.name": "ce"}]
    assert answer(tmp_path, "mnist")["rows"] == together["rows"]


def test_runs_that_a_sweep_took_from_others_are_its_own(tmp_path: Path):
    grid = ("-m", "loss=mse,nll", "trainer.max_epochs=1")
    assert command.train(tmp_path, *grid, "seed=range(0,2)").code == 0
    more = command.train(tmp_path, *grid, "seed=range(0,4)", "resume=any")
    assert more.stdout.startswith("4 finished, 4 to run")
    assert [row["n"] for row in answer(tmp_path, "last")["rows"]] == [4, 4]


def test_what_a_sweep_took_from_others_stays_taken_when_it_is_resumed(tmp_path: Path):
    grid = ("-m", "loss=mse,nll", "trainer.max_epochs=1,2")
    assert command.train(tmp_path, *grid[:2], "trainer.max_epochs=1", "seed=0,1").code == 0
    killed = moments.kill_at(
        Moment("os.rename", r"spool/\w+\.json\.tmp", 2), tmp_path, *grid, "seed=0,1", "resume=any"
    )
    assert killed.stdout.startswith("4 finished, 4 to run")
    again = command.train(tmp_path, *grid, "seed=0,1", "resume=last")
    assert again.code == 0, again.stderr
    finished, to_run = map(int, re.findall(r"\d+", again.stdout.splitlines()[0])[:2])
    assert finished >= 4
    assert finished + to_run == 8
    assert [row["n"] for row in answer(tmp_path, "last")["rows"]] == [2] * 4
    fresh = command.train(tmp_path, *grid[:2], "trainer.max_epochs=1", "seed=0,1")
    assert fresh.code == 0  # newer runs of the same config don't take their place
    rows = answer(tmp_path, command_id(again))["rows"]
    ids = {run_id for row in rows for run_id in row["run_ids"]}
    assert not ids & {run.info.run_id for run in command.runs(tmp_path)[-4:]}


def command_id(done: Done) -> str:
    """The id of the sweep that a command names at its end."""
    return done.stdout.splitlines()[-1].removeprefix("Sweep ").partition(":")[0]


def test_the_commands_that_a_sweep_ends_with_work_as_they_are_printed(tmp_path: Path):
    root = tmp_path / "some where"
    root.mkdir()
    done = command.train(root, "-m", "loss=mse,nll", "trainer.max_epochs=1")
    last = done.stdout.splitlines()[-1]
    printed = re.findall(r"python -m (pipeline\.(?:compare|report)) ([^(;]+?)(?: \(|;)", last)
    assert [module for module, _ in printed] == ["pipeline.compare", "pipeline.report"]
    for module, words in printed:
        shown = command.run(tmp_path, *shlex.split(words), module=module)
        assert (shown.code, shown.stderr) == (0, "")


def test_what_a_killed_sweep_did_not_start_is_missing(tmp_path: Path):
    endless = (
        "data=digits",
        "trainer=cpu",
        "trainer.max_epochs=1000000",
        "data.batch_size=100,400",
    )
    with command.started(tmp_path, "-m", *endless, f"root={tmp_path}", quiet=True) as process:
        command.wait_until(
            lambda: (tmp_path / "mlflow.db").exists() and command.children(tmp_path), "a run"
        )
        process.terminate()
        process.wait(30)
    done = compare(tmp_path)
    assert done.code == 1
    assert "is finished, so there is nothing to compare yet" in done.stderr


def test_a_server_gives_the_same_answer(root: Path, tmp_path: Path):
    with Server(tmp_path) as server:
        uri = f"tracking.uri={server.uri}"
        done = command.train(tmp_path, *SWEEP, "tracking=server", uri)
        assert done.code == 0, done.stderr
        from_server = answer(tmp_path, uri)
    here = answer(root)
    for row in (*here["rows"], *from_server["rows"]):
        del row["run_ids"], row["seconds"]
    assert from_server["rows"] == here["rows"]
