"""What a tracked run has left: its weights and its data, as long as these are the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.config.arguments import Place
from pipeline.errors import UserError
from pipeline.tracking.lookup import find_runs, open_tracked
from pipeline.tracking.record import RunResult
from pipeline.trained.stored import fetch_weights, load_again, read_again
from tests import command, trips


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("stored")
    path = trips.write(root / "trips.csv")
    done = command.run(
        root, *trips.OVERRIDES, f"data.path={path}", "data.split_seed=5", f"root={root}"
    )
    assert done.code == 0, done.stderr
    return root


def the_run(root: Path) -> RunResult:
    (run,) = command.runs(root)
    (found,) = find_runs(open_tracked(Place.at(root)), [run.info.run_id]).runs
    return found


def test_data_are_what_the_run_was_tested_on(root: Path):
    run = the_run(root)
    weights = fetch_weights(open_tracked(Place.at(root)), run)
    data = load_again(run)
    network = weights.network()
    predicted = network.logits_above(network.first_weighted(data.test.inputs)).argmax(1)
    accuracy = (predicted == data.test.labels).double().mean().item()
    assert accuracy == pytest.approx(run.metrics["test/accuracy"])
    assert np.array_equal(data.scaling.divisor, weights.scaling.divisor)
    assert read_again(run).classes == data.classes == ("happy", "sad")


def test_data_that_have_changed_or_gone_are_refused(root: Path):
    run = the_run(root)
    file = root / "trips.csv"
    content = file.read_bytes()
    try:
        file.write_bytes(content.replace(b"Paris", b"Lyon"))
        with pytest.raises(UserError, match=r"trips\.csv: holds other data than when the run"):
            load_again(run)
        file.unlink()
        with pytest.raises(UserError, match=r"trips\.csv: there is no such file"):
            read_again(run)
    finally:
        file.write_bytes(content)
