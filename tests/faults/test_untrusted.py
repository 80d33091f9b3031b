"""Nothing that is read back from disk is ever run, however it was tampered with."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from pipeline.config.schema import TrackingConfig
from pipeline.tracking.spool import send_records
from pipeline.tracking.store import open_store
from tests import command
from tests.faults import moments, sweeps

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from mlflow.entities import Run

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


def spool(root: Path, name: str, content: bytes) -> Path:
    path = root / "mlruns" / "spool" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def records(root: Path, **more: Any) -> bytes:
    """A file of one record; what is more is known of it, but for the address of its store."""
    uri = more.pop("uri", f"sqlite:///{root / 'mlflow.db'}")
    known = {"experiment_name": "mnist", "name": "by hand", "tags": {}, "status": "FINISHED"}
    return json.dumps({"uri": uri, "root": str(root), "records": [known | more]}).encode()


def test_a_record_that_is_a_pickle(
    tmp_path: Path, payload: bytes, caplog: pytest.LogCaptureFixture
):
    path = spool(tmp_path, "tampered", payload)
    assert send_records(open_store(TrackingConfig(), tmp_path)) == (0, 0)
    assert str(path) in caplog.text
    assert not (tmp_path / "marker").exists()
    assert path.read_bytes() == payload


NONSENSE: list[dict[str, Any]] = [
    {"tags": 3},
    {"uri": 3},
    {"status": "NONSENSE"},
    {"metrics": [{"key": 3}]},
    {"run_id": "0" * 32},
    {"id": "../../outside"},
]


def test_records_that_make_no_sense_hold_nobody_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    wrong = [
        spool(tmp_path, f"wrong{number}", records(tmp_path, **nonsense))
        for number, nonsense in enumerate(NONSENSE)
    ]
    for path in wrong:
        os.utime(path, (0, 0))  # they come first
    spool(tmp_path, "good", records(tmp_path))
    assert send_records(open_store(TrackingConfig(), tmp_path)) == (1, 1)
    for path in wrong:
        assert str(path) in caplog.text
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


@contextmanager
def replaced_confusions(run: Run, content: bytes, *, is_signed: bool) -> Generator[None]:
    """Give a run another table of confusions for as long; signed, its checksum is that of it."""
    table, sums = (command.artifacts(run) / name for name in ("confusion.csv", "SHA256SUMS"))
    before = {path: path.read_bytes() for path in (table, sums)}
    table.write_bytes(content)
    if is_signed:
        digests = [hashlib.sha256(it).hexdigest().encode() for it in (before[table], content)]
        sums.write_bytes(before[sums].replace(digests[0], digests[1]))
    yield
    for path, kept in before.items():
        path.write_bytes(kept)


@pytest.mark.parametrize("is_signed", [False, True], ids=["", "with its checksum"])
def test_a_table_of_confusions_that_is_a_pickle(
    root: Path, tmp_path: Path, payload: bytes, is_signed: bool
):
    run, other = command.children(root)
    for found in (run, other):
        (command.artifacts(found) / "confusion.png").unlink(missing_ok=True)
    sweep = command.parent(root).info.run_id
    with replaced_confusions(run, payload, is_signed=is_signed):
        done = command.run(root, sweep, f"root={root}", module="pipeline.figures")
    assert not (tmp_path / "marker").exists()
    assert "Traceback" not in done.stdout + done.stderr
    (line,) = done.errors
    assert line.startswith(f"error: {run.info.run_id}: its confusion.csv is damaged (")
    assert (command.artifacts(other) / "confusion.png").is_file()


@pytest.mark.parametrize("is_signed", [False, True], ids=["", "with its checksum"])
def test_a_report_leaves_out_what_is_damaged(
    root: Path, tmp_path: Path, payload: bytes, is_signed: bool
):
    (run, _), sweep = command.children(root), command.parent(root).info.run_id
    typed = (sweep, "--output", str(tmp_path / "report"), f"root={root}")
    with replaced_confusions(run, payload, is_signed=is_signed):
        done = command.run(root, *typed, module="pipeline.report")
    assert not (tmp_path / "marker").exists()
    assert done.code == 0
    (line,) = done.errors
    assert f"left out: {run.info.run_id}: its confusion.csv is damaged (" in line
    drawn = {path.name for path in (tmp_path / "report").iterdir()}
    assert "comparison.png" in drawn
    assert "confusion.png" not in drawn


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
    assert sweeps.spooled(tmp_path) == []


def test_a_checkpoint_that_is_a_pickle_with_the_right_checksum(tmp_path: Path, payload: bytes):
    root = tmp_path / "root"
    root.mkdir()
    grid = ("-m", "trainer.max_epochs=3", "seed=0,1", "trainer.checkpoint_every_epochs=1")
    moments.kill_at(moments.RECORDS_ARE_COMPLETE, root, *grid)
    (folder,) = (root / "mlruns" / "checkpoints").iterdir()
    for path in folder.iterdir():
        path.unlink()
    tampered = folder / f"epoch-000002-{hashlib.sha256(payload).hexdigest()}.safetensors"
    tampered.write_bytes(payload)
    done = command.train(root, *grid, "resume=last")
    assert done.code == 0
    check_refused(tmp_path, done, tampered)
    sweeps.check_whole(root, 2)


HOSTILE = {
    "a target": "hydra: {callbacks: {evil: {_target_: os.mkdir, path: MARKER}}}",
    "a shell": "hydra: {callbacks: {evil: {_target_: os.system, command: mkdir MARKER}}}",
    "a log": "hydra: {job_logging: {handlers: {evil: {(): os.mkdir, path: MARKER}}}}",
    "a tag": "seed: !!python/object/apply:os.mkdir [MARKER]",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_config_file_runs_nothing(tmp_path: Path, name: str):
    path = tmp_path / "conf" / "experiment" / "evil.yaml"
    path.parent.mkdir(parents=True)
    text = HOSTILE[name].replace("MARKER", str(tmp_path / "marker"))
    path.write_text(f"# @package _global_\n{text}\n")
    typed = (f"--config-dir={tmp_path / 'conf'}", "experiment=evil", f"root={tmp_path}")
    done = command.run(tmp_path, *typed)
    assert (done.code, done.stdout) == (1, "")
    assert not (tmp_path / "marker").exists()
    (line,) = done.errors
    assert line.startswith("error: ")
    assert "evil" in line


def test_names_that_a_store_returns_lead_nowhere(tmp_path: Path):
    root, precious = tmp_path / "root", tmp_path / "precious"
    root.mkdir()
    precious.mkdir()
    kept = [precious / "epoch-000001-0.safetensors", precious / "some.lock", precious / "a.json"]
    for path in kept:
        path.write_text("{}")
    moments.kill_at(moments.RECORDS_ARE_COMPLETE, root, *GRID)
    client, outside = command.client(root), "../../../precious"
    client.set_tag(command.parent(root).info.run_id, "grid", f"{outside}/a")
    for run in command.children(root):
        client.set_tag(run.info.run_id, "checkpoint", outside)
        client.set_tag(run.info.run_id, "lock", f"{outside}/some")
    sweep = command.parent(root).info.run_id
    done = command.train(root, *GRID, f"resume={sweep}")
    assert done.code == 0, done.stderr
    assert {path: path.read_text() for path in precious.iterdir()} == dict.fromkeys(kept, "{}")
    sweeps.check_whole(root, 2)
