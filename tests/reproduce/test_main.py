"""The command that carries out studies, on digits: nothing is downloaded."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from mlflow.entities import Run

from pipeline.config.options import options
from pipeline.reproduce import __main__ as reproduce
from pipeline.theory.claim import Claim, Outcome
from tests import command
from tests.theory.batch_size.made_up import compare

NUM_EPOCHS = 70

SMALL = (
    "data=digits",
    "trainer=cpu",
    "data.num_train=1000",
    "data.num_val=0",
    f"trainer.max_epochs={NUM_EPOCHS}",
)


@dataclass(frozen=True)
class Story:
    """Two studies, interrupted in the second one, then taken up again."""

    root: Path
    first: command.Done
    second: command.Done

    def runs(self, experiment: str) -> list[Run]:
        """Those of an experiment, the first one first."""
        found = command.client(self.root).get_experiment_by_name(experiment)
        assert found is not None
        every = command.runs(self.root)
        return [run for run in every if run.info.experiment_id == found.experiment_id]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    root = tmp_path_factory.mktemp("reproduce")
    words = ("losses", "sgd_network", *SMALL, f"root={root}", "--seeds=3")
    with command.started(root, *words, module="pipeline.reproduce") as process:
        seen = command.read_until(process, "^sgd_network: ")
        seen += command.read_until(process, f"epoch 3/{NUM_EPOCHS} ")
        os.killpg(process.pid, signal.SIGTERM)
        stdout, stderr = process.communicate(timeout=60)
    first = command.Done(process.returncode, seen + stdout, stderr, 0)
    return Story(root, first, command.run(root, *words, module="pipeline.reproduce"))


def test_an_interrupted_reproduction_exits_as_shells_expect(story: Story):
    assert story.first.code == 128 + signal.SIGTERM
    assert story.first.stderr == ""
    assert "losses: 0 of 9 runs are finished" in story.first.stdout
    assert "sgd_network: 0 of 3 runs are finished" in story.first.stdout


def test_what_an_interruption_leaves_is_honest(story: Story):
    reports = [run.info.status for run in story.runs("reproduction")]
    assert reports == ["KILLED", "FINISHED"]
    networks = [run.info.status for run in story.runs("sgd_network")]
    assert networks == ["KILLED"] * 3 + ["FINISHED"] * 3


def test_a_second_call_trains_only_what_is_missing(story: Story):
    assert "losses: 9 of 9 runs are finished" in story.second.stdout
    assert "sgd_network: 0 of 3 runs are finished" in story.second.stdout
    assert "9/9 members" not in story.second.stdout
    text = (story.root / "reports" / "problem_set.md").read_text()
    assert "12 runs, 3 of them trained for this report" in text


def test_no_run_is_in_mlflow_twice(story: Story):
    finished = [run for run in command.children(story.root) if run.info.status == "FINISHED"]
    assert len(finished) == 12
    assert len({run.data.tags["config_hash"] for run in finished}) == 12


def test_every_run_belongs_to_the_report_that_trained_it(story: Story):
    first, second = (run.info.run_id for run in story.runs("reproduction"))
    of_losses = {run.data.tags["mlflow.parentRunId"] for run in story.runs("losses")}
    assert of_losses == {first}
    of_network = [run.data.tags["mlflow.parentRunId"] for run in story.runs("sgd_network")]
    assert of_network == [first] * 3 + [second] * 3


def test_the_report_is_an_artifact_of_its_run(story: Story):
    killed, finished = map(command.artifacts, story.runs("reproduction"))
    reports = story.root / "reports"
    for name in (
        "problem_set.md",
        "problem_set.html",
        "problem_set/losses.png",
        "problem_set/sgd_network.png",
    ):
        assert (finished / name).read_bytes() == (reports / name).read_bytes()
        assert not (killed / name).exists()


def test_the_report_shows_every_number_of_its_studies(story: Story):
    text = (story.root / "reports" / "problem_set.md").read_text()
    headings = re.findall(r"^## Problem ([\d.]+): (.*)$", text, re.MULTILINE)
    assert [number for number, _ in headings] == ["1.3", "4.1"]
    numbers = r" \| [\d.]+ \| [\d.]+ \| [-\d.]+ to [\d.]+ \| 3 \| "
    assert len(re.findall(rf"^\| .* \| curve, epoch \d+{numbers}", text, re.MULTILINE)) == 7
    page = (story.root / "reports" / "problem_set.html").read_text()
    assert page.count('src="data:image/png;base64,') == page.count("src=") == 2


def test_verdicts_of_other_runs_than_the_studies_are_held_to_nothing(story: Story):
    """Digits aren't MNIST: nothing is expected of them."""
    assert story.second.code == 0
    assert story.second.errors == []


def test_the_verdicts_and_the_report_are_announced(story: Story):
    assert re.search(r"^losses: of 6 published numbers .*differs", story.second.stdout, re.M)
    assert f"The report: {story.root / 'reports' / 'problem_set.md'}" in story.second.stdout
    assert re.search(
        r"^[a-z ]+: mean squared error and cross-entropy converge", story.second.stdout, re.M
    )


Call = Callable[..., tuple[object, str]]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """The command without a process of its own; returns its exit code and its errors."""

    def leave(code: int):
        raise SystemExit(code)

    def run(*arguments: str) -> tuple[object, str]:
        monkeypatch.setattr(reproduce, "exit_on_signals", lambda: None)
        monkeypatch.setattr(reproduce, "leave", leave)
        monkeypatch.setattr(sys, "argv", ["reproduce", *arguments])
        with pytest.raises(SystemExit) as ended:
            reproduce.main()
        return ended.value.code, capsys.readouterr().err

    return run


def copy_of(root: Path, place: Path) -> Path:
    """A copy of a root, whose database says where the copy lies."""
    shutil.copytree(root, place)
    assert command.run(place, f"root={place}", "--fix", module="pipeline.doctor").code == 0
    return place


def no_training(*_: object):
    raise AssertionError("it trains")


def test_a_third_call_trains_nothing(
    call: Call, story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    root = copy_of(story.root, tmp_path / "root")
    monkeypatch.setattr(reproduce, "train_missing", no_training)
    output = tmp_path / "again.md"
    words = ("sgd_network", *SMALL, f"root={root}", "--seeds=3", f"--output={output}")
    assert call(*words) == (0, "")
    assert "3 runs, 0 of them trained for this report" in output.read_text()
    assert (tmp_path / "again" / "sgd_network.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nonsense"], "nonsense: no such study. There are losses, penalties, dropout, "
                       "overfitting, sgd_network, goodfellow_2015"),
        (["losses", "penaltys"], "penaltys: no such study. Did you mean penalties?"),
        (["losses", "loss=mse"], "loss=mse: loss is what the study losses compares"),
        (["loss=mse"], "python -m pipeline -m experiment=losses loss=mse"),
        (["dropout", "dropout.phase=test"], "python -m pipeline -m experiment=dropout"),
        (["losses", "--seeds", "0"], "--seeds 0: must be at least 1"),
        (["--quick", "--seeds", "-1"], "--seeds -1: must be at least 1"),
        (["optimizer.lrr=1"], "optimizer.lrr: there is no such key"),
        (["losses", "data=digit"], "data=digit: must be one of " + ", ".join(options("data"))),
        (["losses", "seed=["], "seed=[: can't be read"),
        (["none.yaml"], "none.yaml: can't be read (No such file or directory)"),
        (["losses", "--accept", "optimizer.lr=0.1"], "optimizer.lr=0.1: what later reports"),
        (["losses", "--accept", "--quick"], "seed=range(0,3): what later reports"),
        (["sgd_network", "--search"], "--search: sgd_network says nothing to try"),
        (["losses", "--output", "report.html"], "--output"),
        (["losses", "--output", "report"], "--output"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_said_before_anything_runs(
    call: Call, arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(reproduce, "train_missing", no_training)
    small = [*SMALL, f"root={tmp_path}"] if len(arguments) > 1 else [f"root={tmp_path}"]
    code, errors = call(*small, *arguments)
    assert code == 1
    assert errors.startswith("error: ")
    assert message in errors
    assert list(tmp_path.iterdir()) == []


STUDY = """
title: "My own | rates"
question: Which rate?
source: nobody
seeds: 3
grids:
  rates: ["optimizer.lr=0.1,0.5", trainer.max_epochs=2]
published:
  - {label: fast, where: {optimizer.lr: 0.5}, values: [0.8]}
  - {label: slow, where: {optimizer.lr: 0.1}, values: [0.7]}
claims:
  - says: a fast rate is better
    all: [{higher: {optimizer.lr: 0.5}, lower: {optimizer.lr: 0.1}}]
figures:
  - {title: rates, along: optimizer.lr, at: [0.1, 0.5], lines: {all: {}}}
search:
  init: {normal: [], zero: [model.init=zeros]}
"""

DIGITS = ("data=digits", "trainer=cpu", "data.num_train=200", "data.num_val=0")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """A study of one's own, carried out and then searched."""
    root = tmp_path_factory.mktemp("own")
    (root / "my rates.yaml").write_text(STUDY)
    words = ("my rates.yaml", *DIGITS, f"root={root}")
    first = command.run(root, *words, module="pipeline.reproduce")
    return Story(root, first, command.run(root, *words, "--search", module="pipeline.reproduce"))


def test_a_study_of_ones_own_needs_no_code(own: Story):
    assert (own.first.code, own.first.stderr) == (0, "")
    assert "my rates: 0 of 6 runs are finished" in own.first.stdout
    assert "my rates: of 2 published numbers" in own.first.stdout
    assert len(own.runs("my rates")) == 6
    reports = own.root / "reports"
    assert {path.name for path in reports.iterdir() if path.stem == "my rates"} == {
        "my rates", "my rates.md", "my rates.html"
    }  # fmt: skip
    assert (reports / "my rates" / "my rates.png").is_file()
    text = (reports / "my rates.md").read_text()
    assert "## My own | rates\n\n*Which rate?* Source: nobody." in text
    assert re.search(r"^\| fast \| single \| 0.8000 \| 0.\d+ \| .* \| 3 \| ", text, re.MULTILINE)
    assert "| a fast rate is better | " in text
    assert "Problem" not in text


def test_the_command_in_a_report_on_ones_own_study_carries_it_out(own: Story):
    text = (own.root / "reports" / "my rates.md").read_text()
    (typed,) = re.findall(r"Command: `python -m pipeline\.reproduce (.*?)`", text)
    names = reproduce._parse(shlex.split(typed)).names
    assert [Path(name).name for name in names] == ["my rates.yaml"]


def test_a_search_tells_which_protocol_fits(own: Story):
    assert (own.second.code, own.second.stderr) == (0, "")
    assert "my rates: 2 readings of the protocol" in own.second.stdout
    text = (own.root / "reports" / "protocol_search.md").read_text()
    assert text.partition("\n## ")[2] in own.second.stdout
    assert "2 readings were tried" in text
    assert {line.split(" | ")[0] for line in text.splitlines() if line.startswith("|")} == {
        "| init", "| ---", "| normal", "| zero"
    }  # fmt: skip


def test_a_bad_study_is_an_error_before_anything_runs(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(STUDY.replace("question", "questoin"))
    code, errors = call("mine.yaml", f"root={tmp_path / 'root'}")
    assert code == 1
    assert errors.startswith(
        "error: mine.yaml: questoin: there is no such key. Did you mean question?"
    )
    assert not (tmp_path / "root").exists()


@pytest.mark.parametrize("name", ["losses.yaml", "theory.yaml", "reproduction.yaml"])
def test_a_study_of_ones_own_cannot_take_the_name_of_what_there_is(
    name: str, call: Call, tmp_path: Path
):
    """Its runs and verdicts would be taken for those of the project's own."""
    (tmp_path / name).write_text(STUDY)
    code, errors = call(str(tmp_path / name), *DIGITS, f"root={tmp_path / 'root'}")
    assert code == 1
    assert name.removesuffix(".yaml") in errors
    assert not (tmp_path / "root").exists()


def test_two_studies_of_one_name_are_refused(call: Call, tmp_path: Path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.yaml").write_text(STUDY)
    code, errors = call(*[str(tmp_path / folder / "mine.yaml") for folder in ("a", "b")])
    assert code == 1
    assert "there is a study mine already" in errors


@pytest.mark.parametrize(
    ("typed", "names"),
    [
        ([], [*reproduce.STUDIES, "theory"]),
        (["theory", "losses"], ["losses", "theory"]),
        (["mine.yaml", "losses"], ["losses", "mine.yaml"]),
    ],
)
def test_studies_are_done_in_order(typed: list[str], names: list[str]):
    assert reproduce._parse(typed).names == names


@pytest.mark.parametrize(
    ("typed", "seeds"),
    [
        ([], []),
        (["--quick"], ["seed=range(0,3)"]),
        (["--seeds", "7"], ["seed=range(0,7)"]),
        (["--quick", "--seeds", "7"], ["seed=range(0,7)"]),
        (["--seeds", "2", "data=digits"], ["data=digits", "seed=range(0,2)"]),
        (["losses", "--seeds", "2", "data=digits"], ["data=digits", "seed=range(0,2)"]),
    ],
    ids=" ".join,
)
def test_seeds_are_chosen_wherever_that_stands(typed: list[str], seeds: list[str]):
    assert reproduce._parse(typed).overrides == seeds


def test_a_proof_that_fails_ends_with_1(
    call: Call, story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    root = copy_of(story.root, tmp_path / "root")
    monkeypatch.setattr(reproduce, "compare_batch_sizes", lambda _: compare())
    claims = [
        Claim("3.2", "a minimum", "", "", Outcome.FAILS),
        Claim("3.3", "a sign", "", "", Outcome.ERRATUM),
    ]
    monkeypatch.setattr(reproduce, "check_all", lambda _: claims)
    found = call("theory", *SMALL, f"root={root}")
    assert found == (1, "error: theory 3.2 fails: a minimum\n")
    text = (root / "reports" / "problem_set.md").read_text()
    assert "| 3.2 | a minimum |  |  | fails |" in text
    assert "Problems 1 to 3: 1 fails, 1 erratum." in text
