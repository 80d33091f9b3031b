"""A sweep that goes on where it stopped: resume=last, a run id, any; what a user sees of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import pytest

from tests import command
from tests.faults import moments, sweeps
from tests.faults.moments import Moment

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mlflow.entities import Run

    from tests.command import Done

GRID = ("-m", "trainer.max_epochs=1,2", "seed=0,1")
"""Two groups of two; side by side, either may end first."""

TWO_ARE_FINISHED = {
    "fused": Moment("os.rename", r"spool/\w+\.json\.tmp", 2),
    "basic": Moment("os.rename", r"spool/\w+\.json\.tmp", 3),
}
"""By launcher, just before the next records are complete."""

TELLING = """
from dataclasses import dataclass
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper, BasicSweeperConf
from hydra.core.config_store import ConfigStore

@dataclass
class TellingConf(BasicSweeperConf):
    _target_: str = "hydra_plugins.telling.GridSweeper"

ConfigStore.instance().store(group="hydra/sweeper", name="telling", node=TellingConf)

class GridSweeper(BasicSweeper):
    def sweep(self, arguments):
        for batch in super().sweep(arguments):
            for job in batch:
                print("told", *job.overrides[2:4], job.return_value)
"""
"""A sweeper that prints what it gets."""


@dataclass(frozen=True)
class Resumed:
    """A sweep that was killed with two of its four runs finished, and then resumed."""

    root: Path
    killed: Done
    before: list[Run]
    done: Done


@pytest.fixture(scope="module")
def resumed_with(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Resumed]:
    @cache
    def resume(name: str) -> Resumed:
        root, launcher = tmp_path_factory.mktemp(name), f"hydra/launcher={name}"
        killed = moments.kill_at(TWO_ARE_FINISHED[name], root, *GRID, launcher, "resume=last")
        before = command.children(root)
        done = command.train(root, *GRID, launcher, "resume=last")
        assert (done.code, done.stderr) == (0, "")
        return Resumed(root, killed, before, done)

    return resume


@pytest.fixture(params=["fused", "basic"])
def resumed(request: pytest.FixtureRequest, resumed_with: Callable[[str], Resumed]) -> Resumed:
    return resumed_with(request.param)


@pytest.fixture
def root(resumed_with: Callable[[str], Resumed]) -> Path:
    """A sweep whose four runs are finished."""
    return resumed_with("fused").root


def refused(root: Path, *overrides: str) -> str:
    """The error of a command, which must leave the store as it is."""
    before = sweeps.states(root)
    done = command.train(root, *overrides)
    assert (done.code, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    assert sweeps.states(root) == before
    return done.stderr


def finished_ids(runs: list[Run]) -> set[str]:
    return {run.info.run_id for run in runs if run.info.status == "FINISHED"}


# A sweep that was killed.


def test_where_there_is_no_sweep_yet_the_first_one_starts(resumed: Resumed):
    lines = resumed.killed.stdout.splitlines()
    assert lines[:2] == [
        "There is no sweep to resume yet; this is the first one.",
        "0 finished, 4 to run",
    ]
    assert len(finished_ids(resumed.before)) == 2


def test_the_plan_is_the_first_thing_that_is_said(resumed: Resumed):
    assert resumed.done.stdout.splitlines()[0] == "2 finished, 2 to run"


def test_only_what_is_missing_is_trained(resumed: Resumed):
    runs = command.children(resumed.root)
    assert finished_ids(resumed.before) < finished_ids(runs)
    lines = resumed.done.stdout.splitlines()
    trained = {line.split()[1].partition("/")[2] for line in lines if line.startswith("epoch ")}
    finished = {
        run.data.params["trainer.max_epochs"]
        for run in resumed.before
        if run.info.status == "FINISHED"
    }
    assert trained == {"1", "2"} - finished


def test_the_whole_sweep_is_as_if_nothing_had_happened(resumed: Resumed):
    sweeps.check_whole(resumed.root, 4)


def test_the_table_has_every_cell_in_the_grids_order(resumed: Resumed):
    rows = sweeps.table(resumed.root)
    order = [(row["trainer.max_epochs"], row["seed"]) for row in rows]
    assert order == [(epochs, seed) for epochs in "12" for seed in "01"]
    table = resumed.done.stdout.partition("validation accuracy")[2].splitlines()
    shown = [line.split()[:2] for line in table if line.startswith((" 1 ", " 2 "))]
    assert shown == [["1", "2"], ["2", "2"]]


def test_what_the_killed_run_left_is_deleted_but_could_be_restored(resumed: Resumed):
    gone = {run.info.run_id for run in sweeps.deleted(resumed.root)}
    assert gone
    assert gone == {run.info.run_id for run in resumed.before} - finished_ids(resumed.before)


def test_of_the_killed_process_nothing_is_left_for_the_doctor(resumed: Resumed):
    assert list((resumed.root / "mlruns" / "spool").iterdir()) == []


def test_a_group_that_was_killed_goes_on_run_by_run_with_the_basic_launcher(tmp_path: Path):
    root, grid = tmp_path / "root", ("-m", "trainer.max_epochs=10", "seed=0,1")
    root.mkdir()
    grid = (*grid, "trainer.checkpoint_every_epochs=4")
    moments.kill_at(moments.RECORDS_ARE_COMPLETE, root, *grid)
    done = command.train(root, *grid, "resume=last", "hydra/launcher=basic")
    assert (done.code, done.stderr) == (0, "")
    plan, *lines = done.stdout.splitlines()
    assert plan == "0 finished, 2 to run, 2 of them from a checkpoint"
    assert [line.partition(":")[0] for line in lines if line.startswith("run ")] == [
        "run 1 of 2 goes on",
        "run 2 of 2 goes on",
    ]
    sweeps.check_whole(root, 2)
    assert list((root / "mlruns" / "checkpoints").iterdir()) == []


# A sweep that is finished.


def test_a_finished_sweep_only_shows_its_table_again(root: Path):
    before = sweeps.states(root)
    done = command.train(root, *GRID, "resume=last")
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == "4 finished, 0 to run"
    assert [line for line in done.stdout.splitlines() if line.startswith(("run", "epoch"))] == []
    assert sweeps.states(root) == before
    sweeps.check_whole(root, 4)


@pytest.mark.parametrize("launcher", ["fused", "basic"])
def test_the_sweeper_gets_the_stored_results(root: Path, tmp_path: Path, launcher: str):
    package = tmp_path / "hydra_plugins" / "telling"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(TELLING)
    done = command.run(
        tmp_path,
        *("data=digits", "trainer=cpu", f"root={root}", *GRID, "resume=last"),
        *("hydra/sweeper=telling", f"hydra/launcher={launcher}"),
    )
    assert done.code == 0, done.stderr
    told = [float(line.split()[-1]) for line in done.stdout.splitlines() if line[:4] == "told"]
    assert told == [float(row["val/accuracy"]) for row in sweeps.table(root)]


def test_a_sweep_is_known_by_the_first_letters_of_its_id(root: Path):
    sweep = command.parent(root).info.run_id
    assert sweeps.plan(root, *GRID, f"resume={sweep[:8]}") == ["4 finished, 0 to run"]


@pytest.mark.parametrize("wanted", ["foo", "1e5"])
def test_a_sweep_that_is_not_there_is_an_error_that_lists_the_last_ones(root: Path, wanted: str):
    error = refused(root, *GRID, f"resume={wanted}")
    assert error.startswith(f"error: resume={wanted}: ")
    sweep = command.parent(root)
    assert f"{sweep.info.run_id}  FINISHED  {sweep.info.run_name}" in error


def test_another_grid_is_an_error_that_lists_the_differences(root: Path):
    sweep = command.parent(root).info.run_id
    error = refused(root, "-m", "trainer.max_epochs=1,2", "seed=0,7", "resume=last")
    assert sweep in error
    now, _, then = error.partition("only in that sweep")
    assert [now.count(f"seed={seed}") for seed in (0, 1, 7)] == [0, 0, 2]
    assert [then.count(f"seed={seed}") for seed in (0, 1, 7)] == [0, 2, 0]
    assert "resume=any" in error


def test_a_single_run_has_nothing_to_resume(root: Path):
    (line,) = refused(root, "resume=last").splitlines()
    assert line.startswith("error: resume=last: a single run")
    assert "-m" in line


def test_a_dry_run_makes_nothing(tmp_path: Path):
    for typed, said in ((GRID, "0 finished, 4 to run\n"), ((), "1 to run\n")):
        done = command.train(tmp_path, *typed, "dry_run=true")
        assert (done.code, done.stdout, done.stderr) == (0, said, "")
    assert command.nothing_tracked(tmp_path)


def test_a_dry_run_fetches_nothing(tmp_path: Path):
    done = command.run(tmp_path, "dry_run=true", f"root={tmp_path}")  # of MNIST
    would_fetch, to_run = done.stdout.splitlines()
    assert would_fetch.endswith(f"of mnist would be fetched into {tmp_path}/data/mnist")
    assert (done.code, to_run, done.stderr) == (0, "1 to run", "")
    assert not (tmp_path / "data").exists()
