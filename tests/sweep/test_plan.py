"""What counts of earlier runs when a sweep is resumed, and what doesn't."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from pipeline.config.schema import Config, DataConfig, ResumeConfig
from pipeline.data.catalog import find_dataset
from pipeline.errors import UserError
from pipeline.sweep.plan import MAX_LISTED, Plan, check_same_grid, make_plan
from pipeline.tracking.locks import process_lock
from pipeline.tracking.provenance import code_hash, config_hash
from pipeline.tracking.record import RunResult
from tests import command
from tests.faults import sweeps

if TYPE_CHECKING:
    from pathlib import Path

    from tests.command import Done

NUM_CELLS = 3


def cell(seed: int, root: Path, sweep: str = "last", code: str = "warn") -> Config:
    resume = ResumeConfig(sweep=sweep, code=code)
    return Config(seed=seed, data=DataConfig(name="mnist"), resume=resume, root=str(root))


def grid(root: Path, sweep: str = "last", code: str = "warn") -> list[Config]:
    return [cell(seed, root, sweep, code) for seed in range(NUM_CELLS)]


def run(config: Config, status: str = "FINISHED", run_id: str = "", **tags: str) -> RunResult:
    known = {
        "config_hash": config_hash(config),
        "code_hash": code_hash(),
        "data_hash": find_dataset(config.data.name).digest,
        "host": socket.gethostname(),
    }
    return RunResult(
        run_id=run_id or f"{status} {config.seed}",
        name="made by hand",
        status=status,
        params={},
        metrics={"test/accuracy": 0.5},
        seconds=1.0,
        error=None,
        curves={},
        tags=known | tags,
    )


def ids(plan: Plan) -> list[str]:
    return sorted(run.run_id for run in plan.finished.values())


def by_hash(configs: list[Config]) -> dict[str, Config]:
    return {config_hash(config): config for config in configs}


def test_what_is_finished_counts_and_the_rest_is_to_run(tmp_path: Path):
    cells = grid(tmp_path)
    plan = make_plan(by_hash(cells), [run(cells[2]), run(cells[0])], owned=True)
    assert plan.finished.keys() == {config_hash(cells[0]), config_hash(cells[2])}
    assert (plan.dead, plan.warnings, plan.num_to_run) == ([], [], 1)
    assert str(plan) == "2 finished, 1 to run"


def test_runs_of_other_configs_answer_no_cell(tmp_path: Path):
    strange = run(cell(99, tmp_path), "FAILED")
    untagged = RunResult("plain", "", "FINISHED", {}, {}, None, None, {}, {})
    plan = make_plan(by_hash(grid(tmp_path)), [strange, untagged], owned=True)
    assert str(plan) == "0 finished, 3 to run"
    assert plan.dead == []


@pytest.mark.parametrize("status", ["FAILED", "KILLED", "SCHEDULED"])
def test_what_did_not_end_well_is_trained_anew(tmp_path: Path, status: str):
    cells = grid(tmp_path)
    plan = make_plan(by_hash(cells), [run(cells[1], status)], owned=True)
    assert plan.dead == [f"{status} 1"]
    assert plan.num_to_run == NUM_CELLS


def test_a_running_run_is_left_alone_only_while_its_process_lives(tmp_path: Path):
    cells = grid(tmp_path)
    runs = [
        run(cells[0], "RUNNING", lock=process_lock(tmp_path)),
        run(cells[1], "RUNNING", lock="0123456789abcdef"),
        run(cells[2], "RUNNING"),
    ]
    plan = make_plan(by_hash(cells), runs, owned=True)
    assert plan.running == {config_hash(cells[0])}
    assert plan.dead == ["RUNNING 1", "RUNNING 2"]
    assert str(plan) == "0 finished, 1 running elsewhere, 2 to run"


def test_a_running_run_of_another_machine_may_live(tmp_path: Path):
    cells = grid(tmp_path)
    plan = make_plan(by_hash(cells), [run(cells[0], "RUNNING", host="elsewhere")], owned=True)
    assert (len(plan.running), plan.dead) == (1, [])


def test_a_cell_that_is_finished_needs_none_of_its_other_runs(tmp_path: Path):
    cells = grid(tmp_path)
    runs = [
        run(cells[0], "KILLED"),
        run(cells[0]),
        run(cells[0], "RUNNING", lock=process_lock(tmp_path)),
    ]
    plan = make_plan(by_hash(cells), runs, owned=True)
    assert (ids(plan), plan.running, plan.dead) == (["FINISHED 0"], set(), ["KILLED 0"])


def test_of_several_finished_runs_the_last_one_counts(tmp_path: Path):
    cells = grid(tmp_path)
    runs = [run(cells[0], run_id="first"), run(cells[0], run_id="second")]
    plan = make_plan(by_hash(cells), runs, owned=True)
    assert ids(plan) == ["second"]
    assert list(plan.replaced.values()) == [["first"]]


def test_of_a_sweep_that_another_process_is_working_on_nothing_is_touched(tmp_path: Path):
    cells = grid(tmp_path)
    plan = make_plan(by_hash(cells), [run(cells[0]), run(cells[1], "FAILED")], owned=False)
    assert str(plan) == "1 finished, 2 running elsewhere, 0 to run"
    assert plan.dead == []


@pytest.mark.parametrize(
    ("other", "what"),
    [
        ({"code_hash": "another"}, "code"),
        ({"data_hash": "another"}, "data"),
        ({"code_hash": "another", "data_hash": "another"}, "code and data"),
    ],
    ids=["code", "data", "both"],
)
@pytest.mark.parametrize(
    ("sweep", "code", "counts"),
    [
        ("last", "warn", True),
        ("last", "strict", False),
        ("last", "ignore", True),
        ("0123abcd", "warn", True),
        ("0123abcd", "strict", False),
        ("any", "warn", False),
        ("any", "strict", False),
        ("any", "ignore", True),
    ],
)
def test_runs_from_before_a_change_count_as_the_user_says(
    tmp_path: Path, sweep: str, code: str, counts: bool, other: dict[str, str], what: str
):
    cells = grid(tmp_path, sweep, code)
    runs = [run(cells[0]), run(cells[1], **other), run(cells[2], **other)]
    plan = make_plan(by_hash(cells), runs, owned=True)
    assert len(plan.finished) == (3 if counts else 1)
    gone = [] if counts or sweep == "any" else [["FINISHED 1"], ["FINISHED 2"]]
    assert list(plan.replaced.values()) == gone  # runs of other sweeps are never deleted
    assert plan.dead == []
    said = [f"2 finished runs were made with other {what}; "] if code != "ignore" else []
    assert [line.partition("they ")[0] for line in plan.warnings] == said
    assert all(("don't count" in line) is not counts for line in plan.warnings)
    assert all(f"resume.code={code}" in line for line in plan.warnings)


@pytest.mark.parametrize(("code", "goes_on"), [("warn", 1), ("strict", 0), ("ignore", 1)])
def test_a_checkpoint_of_other_code_is_gone_on_from_as_the_user_says(
    tmp_path: Path, code: str, goes_on: int
):
    cells = grid(tmp_path, code=code)
    folder = tmp_path / "mlruns" / "checkpoints" / "run-0123"
    folder.mkdir(parents=True)
    (folder / "epoch-000001-0.safetensors").touch()
    interrupted = run(cells[0], "KILLED", checkpoint="run-0123", code_hash="another")
    plan = make_plan(by_hash(cells), [interrupted], owned=True)
    assert (len(plan.continued), len(plan.dead)) == (goes_on, 1 - goes_on)
    assert [
        line.startswith("1 interrupted runs were begun with other code") for line in plan.warnings
    ] == ([True] if code == "warn" else [])


# The grid of the sweep that is resumed.


def named(*cells: str) -> dict[str, list[str]]:
    return {f"hash of {cell}": ["loss=mse", cell] for cell in cells}


def test_the_same_grid_in_another_order_is_the_same():
    check_same_grid(named("seed=0", "seed=1"), named("seed=1", "seed=0"), "0123abcd")


def test_the_same_cells_typed_otherwise_are_the_same():
    check_same_grid({"hash": ["optimizer.lr=0.1"]}, {"hash": ["optimizer.lr=1e-1"]}, "0123abcd")


@pytest.mark.parametrize(
    ("now", "then", "listed"),
    [
        (["seed=0"], ["seed=1"], ["only in this command", "seed=0", "only in that", "seed=1"]),
        (["seed=0", "seed=1"], ["seed=1"], ["only in this command", "seed=0"]),
        (["seed=0"], ["seed=0", "seed=1"], ["only in that", "seed=1"]),
    ],
    ids=["both", "more now", "more then"],
)
def test_a_different_grid_is_an_error_that_lists_the_differences(
    now: list[str], then: list[str], listed: list[str]
):
    with pytest.raises(UserError, match=r"^resume\.sweep=0123abcd: ") as raised:
        check_same_grid(named(*now), named(*then), "0123abcd")
    _, *lines, remedy = str(raised.value).splitlines()
    assert len(lines) == len(listed)
    assert all(part in line for part, line in zip(listed, lines, strict=True))
    assert "resume=any" in remedy


def test_of_a_long_list_of_differences_the_first_ones_are_shown():
    now = named(*(f"seed={seed:03}" for seed in range(MAX_LISTED + 5)))
    with pytest.raises(UserError) as raised:
        check_same_grid(now, {}, "0123abcd")
    lines = [line for line in str(raised.value).splitlines() if line.startswith("    ")]
    assert [line.split()[-1] for line in lines[:-1]] == [f"seed={n:03}" for n in range(MAX_LISTED)]
    assert lines[-1] == "    … and 5 more"


# The real command: a sweep of two runs, one of them by other code, that was interrupted.

GRID = ("-m", "trainer.max_epochs=1", "seed=0,1")


@dataclass(frozen=True)
class Strict:
    """The sweep after it was resumed with resume.code=strict."""

    root: Path
    sweep: str
    old: str
    done: Done


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Strict:
    root = tmp_path_factory.mktemp("strict")
    assert command.train(root, *GRID).code == 0
    sweep, old = command.parent(root).info.run_id, command.children(root)[0].info.run_id
    store = command.client(root)
    store.set_tag(old, "code_hash", "another")
    store.set_tag(sweep, "error", "interrupted")
    store.update_run(sweep, "KILLED")
    done = command.train(root, *GRID, f"resume={sweep}", "resume.code=strict")
    return Strict(root, sweep, old, done)


def test_with_strict_code_what_has_changed_is_trained_anew(strict: Strict):
    assert strict.done.code == 0, strict.done.stderr
    assert "1 finished, 1 to run" in strict.done.stdout.splitlines()
    assert [gone.info.run_id for gone in sweeps.deleted(strict.root)] == [strict.old]
    runs = [
        child
        for child in command.children(strict.root)
        if child.data.tags["mlflow.parentRunId"] == strict.sweep
    ]
    assert [child.info.status for child in runs] == ["FINISHED"] * 2


def test_a_resumed_sweep_that_ends_well_carries_no_error(strict: Strict):
    sweep = command.client(strict.root).get_run(strict.sweep)
    assert sweep.info.status == "FINISHED"
    assert "error" not in sweep.data.tags


def test_runs_of_any_sweep_count(strict: Strict):
    root, known = strict.root, sweeps.states(strict.root)
    other = ("-m", "trainer.max_epochs=1", "seed=2,1", "resume=any")
    assert sweeps.plan(root, *other) == ["1 finished, 1 to run"]
    done = command.train(root, *other)
    assert (done.code, done.stderr) == (0, "")
    parent, made = (found for found in command.runs(root) if found.info.run_id not in known)
    assert made.data.params["seed"] == "2"
    assert [parent.info.status, made.info.status] == ["FINISHED"] * 2
    assert [row["seed"] for row in sweeps.rows(parent)] == ["2", "1"]
    taken = sweeps.rows(parent)[1]["run_id"]
    assert known[taken] == "FINISHED"
    assert "2 seeds a cell" in done.stdout
    again = command.train(root, *other)
    assert again.stdout.splitlines()[0] == "2 finished, 0 to run"
    assert [row["seed"] for row in sweeps.rows(command.runs(root)[-1])] == ["2", "1"]
