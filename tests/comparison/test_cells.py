from __future__ import annotations

import pytest

from pipeline.comparison.cells import find_cells, short_names, varied_keys
from tests.comparison.hand_made import grid, run

LOSSES = [{"loss.name": name} for name in ("mse", "nll")]


def same(values: object, seed: int) -> float:
    del values, seed
    return 0.9


def test_cells_are_what_is_left_without_the_seed():
    found = find_cells(grid(LOSSES, 3, same))
    assert found.keys == ["loss.name"]
    assert [(cell.values, sorted(cell.runs)) for cell in found.cells] == [
        ({"loss.name": "mse"}, [0, 1, 2]),
        ({"loss.name": "nll"}, [0, 1, 2]),
    ]
    assert found.holes == []


def test_files_are_called_as_seen_from_the_folder_that_they_share():
    paths = [{"data.path": f"/home/me/{name}"} for name in ("a.csv", "more/b.csv")]
    found = find_cells([*grid(paths, 2, same), run({"loss.name": "nll"}, 0, 0.9)])
    assert [cell.values["data.path"] for cell in found.cells] == ["a.csv", "more/b.csv", ""]


def test_seed_0_is_a_seed():
    (cell,) = find_cells([run({}, 0, 0.9)]).cells
    assert list(cell.runs) == [0]


def test_a_key_that_follows_from_another_is_not_among_those_that_varied():
    sgd = {"optimizer.lr": "0.5", "optimizer.name": "sgd"}
    adam = {"optimizer.lr": "0.001", "optimizer.name": "adam", "optimizer.betas": "[0.9, 0.999]"}
    assert varied_keys([sgd, adam]) == ["optimizer.name"]
    assert varied_keys([sgd, adam, adam | {"optimizer.lr": "0.01"}]) == [
        "optimizer.name",
        "optimizer.lr",
    ]


def test_a_key_that_some_lack_has_varied():
    with_dropout = {"dropout.name": "hidden", "dropout.p_keep": "0.5"}
    configs = [{"dropout.name": "none"}, with_dropout, with_dropout | {"dropout.p_keep": "0.8"}]
    assert varied_keys(configs) == ["dropout.name", "dropout.p_keep"]


def test_what_cannot_change_a_number_is_no_choice():
    configs = [{"seed": str(i), "trainer.accelerator": str(i), "data.root": str(i)} for i in (0, 1)]
    assert varied_keys(configs) == []


def test_short_names_stay_clear():
    keys = ["loss.name", "regularizer.name", "loss.gamma", "schedule.gamma", "optimizer.lr"]
    assert list(short_names(keys).values()) == [
        "loss",
        "regularizer",
        "loss.gamma",
        "schedule.gamma",
        "lr",
    ]


@pytest.mark.parametrize(
    ("status", "error", "told"),
    [
        ("FAILED", "the disk is full", "failed"),
        ("FAILED", "the loss is not finite in step 3: training diverged.", "diverged"),
        ("KILLED", "interrupted", "interrupted"),
        ("RUNNING", None, "running"),
    ],
)
def test_what_is_not_finished_is_a_hole_with_its_reason(status: str, error: str | None, told: str):
    hole = run(LOSSES[1], 2, 0.0, status=status, error=error)
    found = find_cells([*grid(LOSSES, 2, same), hole])
    assert [(it.status, it.run_id) for it in found.holes] == [(told, hole.run_id)]
    assert [cell.num_expected for cell in found.cells] == [2, 3]


def test_a_run_that_was_trained_again_is_no_hole():
    failed = run(LOSSES[0], 0, 0.0, status="FAILED")
    assert find_cells([failed, *grid(LOSSES, 2, same)]).holes == []


def test_of_runs_with_the_same_config_and_seed_the_newest_counts():
    old, new = run(LOSSES[0], 0, 0.8), run(LOSSES[0], 0, 0.9, code="new")
    found = find_cells([old, new])
    assert (found.cells[0].runs, found.num_repeated) == ({0: new}, 1)


def test_what_a_sweep_asked_for_and_never_started_is_missing():
    asked = grid([*LOSSES, {"loss.name": "ce"}], 3, same)
    overrides = {it.tags["config_hash"]: it.name.split() for it in asked}
    found = find_cells(asked[:5], overrides)
    assert [hole.name for hole in found.cells[1].holes] == ["loss.name=nll seed=2"]
    assert [hole.name for hole in found.unknown] == [f"loss.name=ce seed={i}" for i in range(3)]
    assert {hole.status for hole in found.holes} == {"missing"}
