"""Sweeps on a table of one's own: what counts as the same data, and what a seed divides."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import pipeline
from pipeline.config.compose import configure
from pipeline.tracking.provenance import config_hash
from tests import command
from tests.command import Done

ON_TABLE = ("data=table", "data.target=kind", "trainer.max_epochs=2", "trainer=cpu")
GRID = ("-m", *ON_TABLE, "loss=mse,nll", "seed=range(0,3)")


def write_table(path: Path, seed: int = 0, rows: int = 120) -> None:
    """Two kinds that two numbers tell apart."""
    draws = np.random.default_rng(seed)
    kinds = draws.choice(["cat", "dog"], rows)
    weight = draws.normal(4, 1, rows) + 4 * (kinds == "dog")
    frame = pd.DataFrame({"weight": weight, "noise": draws.normal(size=rows), "kind": kinds})
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.to_csv(path, index=False)


def sweep(root: Path, *arguments: str, path: str = "table.csv") -> Done:
    return command.run(root, *GRID, f"data.path={path}", f"root={root}", *arguments)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_table(tmp_path / "table.csv")
    return tmp_path


def test_a_changed_file_is_other_data(root: Path):
    assert sweep(root).code == 0
    again = sweep(root, "resume=last")
    assert "6 finished, 0 to run" in again.stdout
    write_table(root / "table.csv", seed=1)
    refused = sweep(root, "resume=last")
    assert refused.code == 1
    (error,) = refused.errors
    assert f"6 of its runs were made with other data: {root / 'table.csv'} has changed" in error
    for resume in (["resume=any"], ["resume=last", "resume.code=strict"]):
        assert "0 finished, 6 to run" in sweep(root, *resume, "dry_run=true").stdout


def test_a_folder_that_is_moved_with_its_data_goes_on(root: Path, tmp_path: Path):
    moved = tmp_path.with_name(f"{tmp_path.name}_moved")
    assert sweep(root).code == 0
    root.rename(moved)
    again = sweep(moved, "resume=any")
    assert "6 finished, 0 to run" in again.stdout, again.stderr


def test_files_of_one_name_in_two_folders_are_two_data_sets(root: Path):
    for number, folder in enumerate(("a", "b")):
        write_table(root / folder / "table.csv", number)
    done = sweep(root, path="a/table.csv,b/table.csv")
    assert done.code == 0, done.stderr
    assert len({run.data.tags["data_hash"] for run in command.children(root)}) == 2
    assert len({run.data.tags["config_hash"] for run in command.children(root)}) == 12


def test_a_file_below_the_root_is_named_as_seen_from_there(tmp_path: Path):
    def identity(root: str, path: str) -> str:
        return config_hash(configure([*ON_TABLE, f"root={tmp_path / root}", f"data.path={path}"]))

    inside = identity("a", str(tmp_path / "a" / "table.csv"))
    assert inside == identity("b", str(tmp_path / "b" / "table.csv"))
    assert inside != identity("a", str(tmp_path / "b" / "table.csv"))


def test_a_run_says_how_many_examples_there_are(root: Path):
    assert sweep(root).code == 0
    params = command.children(root)[0].data.params
    train, val = int(params["data.num_train"]), int(params["data.num_val"])
    assert (train, val) == (84, 18)


def test_few_validation_examples_are_named_unless_each_seed_divides_the_data(root: Path):
    once = sweep(root)
    assert "18 validation examples, one of them 6 points" in once.stdout
    by_seed = sweep(root, "data.split_seed=null")
    assert by_seed.code == 0
    assert "validation examples, one of them" not in by_seed.stdout
    assert " nll   3 " in by_seed.stdout  # a row for each loss, none for each division


def test_runs_of_one_seed_share_a_division_and_those_of_others_have_another(root: Path):
    assert sweep(root, "data.split_seed=null", "trainer.max_epochs=1").code == 0
    means = {
        (run.data.params["seed"], run.data.params["loss.name"]): tuple(
            pipeline.weights(run.info.run_id, root=root).scaling.shift
        )
        for run in command.children(root)
    }
    assert all(means[seed, "mse"] == means[seed, "nll"] for seed in "012")
    assert len(set(means.values())) == 3


def test_early_stopping_needs_rows_for_validation(root: Path):
    table = pd.read_csv(root / "table.csv")
    table["part"] = ["train", "test"] * (len(table) // 2)
    table.to_csv(root / "table.csv", index=False)
    done = sweep(root, "data.split_column=part", "trainer.early_stopping=true")
    assert done.code == 1
    (error,) = done.errors
    assert "has no validation examples" in error
    assert command.nothing_tracked(root)


def test_what_always_answering_the_commonest_class_would_reach_is_said(root: Path):
    table = pd.read_csv(root / "table.csv")
    dogs, cats = (table[table.kind == kind] for kind in ("dog", "cat"))
    pd.concat([dogs, cats.head(10)]).to_csv(root / "table.csv", index=False)
    done = sweep(root)
    (share,) = {run.data.tags["commonest"] for run in command.children(root)}
    assert f"the commonest class is right for {100 * float(share):.1f}%" in " ".join(
        done.stdout.split()
    )
