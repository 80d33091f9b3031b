"""What may change before a sweep is resumed: the code, the schema, the clock, the place."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests import command
from tests.faults import moments, sweeps

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.command import Done

GRID = ("-m", "trainer.max_epochs=1", "seed=0,1")

WARNING = "2 finished runs were made with other code; they "


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep whose two runs are finished."""
    root = tmp_path_factory.mktemp("changes")
    assert command.train(root, *GRID).code == 0
    return root


@pytest.fixture(scope="module")
def with_other_code(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Done]:
    """The command as a later version of the package has it, whose schema has a key more."""
    copy = tmp_path_factory.mktemp("later")
    ignored = shutil.ignore_patterns("__pycache__")
    for folder in ("pipeline", "conf", "hydra_plugins"):
        shutil.copytree(command.CHECKOUT / folder, copy / folder, ignore=ignored)
    schema = copy / "pipeline" / "config" / "schema" / "trainer.py"
    key = "    max_epochs: int = 5\n"
    source = schema.read_text()
    assert source.count(key) == 1
    schema.write_text(source.replace(key, f"{key}    warm_up_epochs: int = 0\n"))

    def train(root: Path, *overrides: str) -> Done:
        typed = ("data=digits", "trainer=cpu", f"root={root}", *overrides)
        return command.run(root, *typed, PYTHONPATH=str(copy))

    return train


def test_the_later_version_is_what_runs(root: Path, with_other_code: Callable[..., Done]):
    done = with_other_code(root, "--cfg", "job")
    assert "  warm_up_epochs: 0\n" in done.stdout


@pytest.mark.parametrize(
    ("resume", "code", "said"),
    [
        ("last", "warn", [f"{WARNING}count all the same (resume.code=warn).", "2 finished, 0"]),
        ("any", "strict", [f"{WARNING}don't count (resume.code=strict).", "0 finished, 2"]),
    ],
)
def test_finished_runs_outlive_a_key_that_is_added_and_count_as_the_user_says(
    root: Path, with_other_code: Callable[..., Done], resume: str, code: str, said: list[str]
):
    chosen = (f"resume={resume}", f"resume.code={code}", "dry_run=true")
    done = with_other_code(root, *GRID, *chosen)
    assert (done.code, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert [line.removesuffix(" to run") for line in lines] == said


def test_what_other_code_finished_is_kept_until_this_code_has_finished(
    tmp_path: Path, with_other_code: Callable[..., Done]
):
    root = tmp_path / "root"
    root.mkdir()
    strict = (*GRID, "resume=last", "resume.code=strict", "hydra/launcher=basic")
    assert with_other_code(root, *GRID).code == 0
    before = {run.info.run_id for run in command.children(root)}
    moments.kill_at(moments.ROWS_ARE_ENDED, root, *strict)
    assert before <= sweeps.states(root).keys()
    done = command.train(root, *strict)
    assert (done.code, done.stderr) == (0, "")
    assert {run.info.run_id for run in sweeps.deleted(root)} >= before
    sweeps.check_whole(root, 2)


CLOCK_A_DAY_BACK = """
import time

now, now_ns = time.time, time.time_ns
time.time = lambda: now() - 86_400
time.time_ns = lambda: now_ns() - 86_400 * 10**9
"""


def test_a_clock_that_is_set_back_changes_nothing(tmp_path: Path):
    root, hook = tmp_path / "root", tmp_path / "hook"
    root.mkdir()
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(CLOCK_A_DAY_BACK)
    search_path = f"{hook}:{command.CHECKOUT}"
    assert command.train(root, *GRID).code == 0
    typed = ("data=digits", "trainer=cpu", f"root={root}", "-m", "seed=2,3,4")
    grid = (*typed, "trainer.max_epochs=1,2000000", "hydra.launcher.num_workers=1")
    with command.started(root, *grid, PYTHONPATH=search_path) as process:
        command.read_until(process, "epoch 3/")
    last = min(command.runs(root), key=lambda run: run.info.start_time)
    assert last.info.run_name == "seed=2,3,4 trainer.max_epochs=1,2000000 data=digits trainer=cpu"
    planned = sweeps.plan(root, "-m", "seed=2,3,4", "trainer.max_epochs=1,2000000", "resume=last")
    assert planned == ["3 finished, 3 to run", sweeps.killed(3)]


def test_a_folder_that_was_moved_is_named_before_anything_is_written(tmp_path: Path):
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    assert command.train(old, *GRID).code == 0
    old.rename(new)
    assert sweeps.plan(new, *GRID, "resume=last") == ["2 finished, 0 to run"]
    for typed in ((*GRID, "resume=last"), ("-m", "seed=2,3"), ("seed=2",)):
        done = command.train(new, *typed)
        assert done.code == 1
        assert done.errors[-1].startswith(f"error: root={new}: was moved from {old}. ")
        assert "python -m pipeline.doctor --fix" in done.errors[-1]
        assert not old.exists()
    fixed = command.run(new, f"root={new}", "--fix", module="pipeline.doctor")
    assert fixed.code == 0, fixed.stdout
    done = command.train(new, "-m", "trainer.max_epochs=1", "seed=0,1,2", "resume=any")
    assert done.code == 0, done.stderr
    assert not old.exists()
    for run in command.runs(new):
        assert command.artifacts(run).is_relative_to(new)
        assert any(command.artifacts(run).iterdir())
