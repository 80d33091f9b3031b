"""The tables that scikit-learn brings."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.data.bundled import read_bundled
from pipeline.data.layout import NUMBER, Table
from pipeline.data.pool import UNDIVIDED
from tests import command


@pytest.mark.parametrize(
    ("name", "counts", "classes", "first", "target"),
    [
        ("breast_cancer", [212, 357], ("malignant", "benign"), "mean radius", "diagnosis"),
        ("wine", [59, 71, 48], ("class_0", "class_1", "class_2"), "alcohol", "cultivar"),
        ("iris", [50] * 3, ("setosa", "versicolor", "virginica"), "sepal length (cm)", "species"),
    ],
)
def test_they_are_undivided_tables_of_numbers_with_names(
    name: str, counts: list[int], classes: tuple[str, ...], first: str, target: str
):
    pool = read_bundled(name)
    assert np.array_equal(np.bincount(pool.labels), counts)
    assert pool.classes == classes
    assert set(pool.parts) == {UNDIVIDED}
    assert isinstance(pool.layout, Table)
    *features, last = pool.layout.columns
    assert {column.kind for column in features} == {NUMBER}
    assert (features[0].name, last.name, last.kind) == (first, target, "target")
    (inputs,) = pool.blocks()
    assert inputs.shape == (sum(counts), pool.layout.num_features)
    assert pool.num_bytes == inputs.nbytes + pool.labels.nbytes
    assert pool.source == "scikit-learn"


def test_the_first_flower_is_fishers():
    (inputs,) = read_bundled("iris").blocks()
    assert np.array_equal(inputs[0], [5.1, 3.5, 1.4, 0.2])


def test_the_contents_never_change():
    digests = {name: read_bundled(name).digest for name in ("breast_cancer", "wine", "iris")}
    assert digests == {
        "breast_cancer": "25e2eb7b7a8745b1bde5ba18bc4969983d2e2f403291ecd5bde4a29ef30c3859",
        "wine": "3a28849ef2366c4b9d4e382b3fa5624a66f693c04d7fdcf43c529bbb0bb338d7",
        "iris": "aa06b8008ceba42efc654be0f83fdafc786239c9e8f13146044d078f5aab8f23",
    }


def test_scikit_learn_is_imported_only_where_it_is_read():
    program = (
        "import sys, pipeline.data.bundled, pipeline.data.facts; print('sklearn' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=command.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "False\n"


def test_the_command_trains_on_all_of_them(tmp_path: Path):
    done = command.run(tmp_path, "-m", "data=iris,wine,breast_cancer", f"root={tmp_path}")
    assert done.code == 0, done.stderr
    assert "Validation chooses data=" in done.stdout
    assert all(run.data.metrics["test/accuracy"] > 0.8 for run in command.children(tmp_path))
    asked = ("data=iris,wine,breast_cancer", f"root={tmp_path}", "dry_run=true")
    for resume in ("resume=last", "resume=any"):
        assert "3 finished, 0 to run" in command.run(tmp_path, "-m", *asked, resume).stdout
