"""Nothing that is read back from disk is ever run, however it was tampered with."""

from __future__ import annotations

import json
import os
import pickle
from typing import TYPE_CHECKING, Any

import pytest

from tests import command
from tests.faults import sweeps

if TYPE_CHECKING:
    from pathlib import Path

    from tests.command import Done

GRID = ("-m", "trainer.max_epochs=1", "seed=0,1")


class Payload:
    """Makes a folder when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.marker),)


@pytest.fixture(params=[0, pickle.HIGHEST_PROTOCOL], ids=["text", "binary"])
def payload(request: pytest.FixtureRequest, tmp_path: Path) -> bytes:
    return pickle.dumps(Payload(tmp_path / "marker"), request.param)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tampered")
    assert command.train(root, *GRID).code == 0
    return root


def check_refused(tmp_path: Path, done: Done, path: Path) -> None:
    """Check that a command ended with a message that names a file, which was not run."""
    assert not (tmp_path / "marker").exists()
    output = done.stdout + done.stderr
    assert "Traceback" not in output
    assert str(path) in output.replace("\n", "")


def test_the_payload_works(tmp_path: Path, payload: bytes):
    pickle.loads(payload)
    assert (tmp_path / "marker").is_dir()


def record(root: Path, name: str, content: bytes) -> Path:
    folder = root / "mlruns" / "outbox" / name
    (folder / "artifacts").mkdir(parents=True)
    (folder / "record.json").write_bytes(content)
    return folder / "record.json"


def fields(root: Path, **more: Any) -> bytes:
    known = {"folder": "", "experiment_name": "mnist", "name": "by hand", "tags": {}}
    known |= {"metrics": [], "dataset": None, "status": "FINISHED"}
    return json.dumps({"uri": f"sqlite:///{root / 'mlflow.db'}", **known, **more}).encode()


def deliver(root: Path) -> Done:
    return command.run(root, f"--root={root}", module="pipeline.deliver")


def test_a_record_that_is_a_pickle(tmp_path: Path, payload: bytes):
    path = record(tmp_path, "tampered", payload)
    done = deliver(tmp_path)
    check_refused(tmp_path, done, path)
    assert "0 delivered" in done.stdout
    assert path.read_bytes() == payload


NONSENSE: list[dict[str, Any]] = [
    {"tags": 3},
    {"uri": 3},
    {"status": "NONSENSE"},
    {"metrics": [{"key": 3}]},
    {"run_id": "0" * 32},
]


def test_records_that_make_no_sense_hold_nobody_up(tmp_path: Path):
    wrong = [
        record(tmp_path, f"wrong{number}", fields(tmp_path, **nonsense))
        for number, nonsense in enumerate(NONSENSE)
    ]
    for path in wrong:
        os.utime(path, (0, 0))  # they come first
    record(tmp_path, "good", fields(tmp_path))
    done = deliver(tmp_path)
    for path in wrong:
        check_refused(tmp_path, done, path.parent)
    assert "1 delivered" in done.stdout
    assert [run.info.run_name for run in command.runs(tmp_path)] == ["by hand"]


def replaced_grid(root: Path, content: bytes) -> tuple[Path, Done]:
    """Resume a sweep whose grid is another file for as long."""
    (path,) = (root / "mlruns" / "sweeps").glob("*.json")
    before = path.read_bytes()
    path.write_bytes(content)
    done = command.train(root, *GRID, "resume=last", "dry_run=true")
    path.write_bytes(before)
    return path, done


def test_a_grid_that_is_a_pickle(root: Path, tmp_path: Path, payload: bytes):
    path, done = replaced_grid(root, payload)
    assert (done.code, done.stdout) == (1, "")
    check_refused(tmp_path, done, path)


@pytest.mark.parametrize("content", ["[1]", '{"hash": 3}'])
def test_a_grid_that_makes_no_sense(root: Path, tmp_path: Path, content: str):
    path, done = replaced_grid(root, content.encode())
    assert (done.code, done.stdout) == (1, "")
    check_refused(tmp_path, done, path)


def test_a_table_of_confusions_that_is_a_pickle(root: Path, tmp_path: Path, payload: bytes):
    run, other = command.children(root)
    for found in (run, other):
        (command.artifacts(found) / "confusion.png").unlink(missing_ok=True)
    path = command.artifacts(run) / "confusion.csv"
    before = path.read_bytes()
    path.write_bytes(payload)
    sweep = command.parent(root).info.run_id
    done = command.run(root, sweep, f"--root={root}", module="pipeline.pictures")
    path.write_bytes(before)
    assert not (tmp_path / "marker").exists()
    assert "Traceback" not in done.stdout + done.stderr
    assert run.info.run_id in done.stdout + done.stderr
    assert (command.artifacts(other) / "confusion.png").is_file()


def test_a_store_that_is_a_pickle(tmp_path: Path, payload: bytes):
    path = tmp_path / "mlflow.db"
    path.write_bytes(payload)
    done = command.train(tmp_path, *GRID, "resume=last")
    assert (done.code, done.stdout) == (1, "")
    check_refused(tmp_path, done, path)
    assert path.read_bytes() == payload


@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "t10k-labels-idx1-ubyte.gz"])
def test_data_that_are_a_pickle(tmp_path: Path, payload: bytes, name: str):
    path = tmp_path / "data" / "mnist" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(payload)
    done = command.run(tmp_path, f"root={tmp_path}", "trainer=cpu", "data.download=false")
    assert (done.code, done.stdout) == (1, "")
    check_refused(tmp_path, done, path)
    assert sweeps.waiting(tmp_path) == []
