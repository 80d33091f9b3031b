"""What the doctor takes for dead, stale, moved or corrupt, and what it leaves alone."""

from __future__ import annotations

import os
import shutil
import socket
import time
from pathlib import Path

import pytest

from pipeline.config.schema import TrackingConfig
from pipeline.tools.doctor.checks import (
    corrupt_checkpoints,
    dead_runs,
    stale_locks,
    unfinished_records,
    unsent_records,
)
from pipeline.tools.doctor.moved import moved_artifacts
from pipeline.tools.doctor.site import Finding, Site
from pipeline.tracking.locks import hold
from pipeline.tracking.record import Record, new_ids
from pipeline.tracking.run import closing, start_run
from pipeline.tracking.spool import save_batch
from pipeline.tracking.store import Store, open_store
from tests import command


def mend(finding: Finding) -> None:
    assert finding.fix is not None
    finding.fix()


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# Whose process lives?


@pytest.fixture(scope="module")
def store_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with a database, which takes a second to make."""
    root = tmp_path_factory.mktemp("store")
    assert open_store(TrackingConfig(), root).client
    return root


@pytest.fixture
def root(store_root: Path, tmp_path: Path) -> Path:
    """A root of its own for each test, with an empty database."""
    root = tmp_path / "root"
    root.mkdir()
    shutil.copy(store_root / "mlflow.db", root)
    return root


def store_of(root: Path) -> Store:
    return open_store(TrackingConfig(), root)


def begin(root: Path, **tags: str) -> str:
    """Make a RUNNING run with a lock that nobody holds, but for what the tags say."""
    all_tags = {"host": socket.gethostname(), "lock": "0" * 32, **tags}
    record = Record("mnist", "run", all_tags)
    start_run(store_of(root), record, offline_is_fine=False)
    return record.known_run_id


def leave_folder(root: Path, name: str) -> Path:
    """Make the folder of a run whose files are to be sent."""
    folder = root / "mlruns" / "spool" / name
    folder.mkdir(parents=True)
    return folder


def found_dead(root: Path, store: Store | None = None) -> list[str]:
    site = Site(root, store or store_of(root))
    return [finding.what for finding in dead_runs(site) if finding.fix]


def test_a_run_whose_lock_nobody_holds_is_dead(root: Path):
    run_id = begin(root)
    assert found_dead(root) == [f"run {run_id} (run) is RUNNING, but its process died"]


def test_a_run_of_another_machine_is_mentioned_and_left_alone(root: Path, tmp_path: Path):
    run_id = begin(root, host="elsewhere")
    done = command.run(tmp_path, f"root={root}", "--fix", module="pipeline.doctor")
    line = f"run {run_id} (run) is RUNNING on elsewhere: can't tell from here\n"
    assert (done.code, done.stdout) == (0, line + "nothing to do\n")
    assert [run.info.status for run in command.runs(root)] == ["RUNNING"]


def test_a_run_of_another_machine_is_dead_once_nobody_touches_its_lock(root: Path):
    run_id = begin(root, host="elsewhere", lock="touched")
    lock = root / "mlruns" / "locks" / "touched.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.touch()
    assert found_dead(root) == []
    os.utime(lock, (0, 0))
    assert found_dead(root) == [f"run {run_id} (run) is RUNNING, but its process died"]


def test_a_sweep_that_was_taken_up_again_lives_and_so_do_its_runs(root: Path):
    sweep = begin(root, grid="000001-01234567")
    leave_folder(root, begin(root, **{"mlflow.parentRunId": sweep}))
    assert len(found_dead(root)) == 2
    assert hold(root, "000001-01234567")
    assert found_dead(root) == []
    assert list(unfinished_records(Site(root, store_of(root)))) == []


def test_a_run_of_another_root_in_a_shared_store_is_left_alone(root: Path, tmp_path: Path):
    begin(root)
    other = tmp_path / "other"
    other.mkdir()
    shared = open_store(TrackingConfig(uri=f"sqlite:///{root}/mlflow.db"), other)
    assert found_dead(root) != []
    assert found_dead(other, shared) == []


def test_a_run_whose_end_is_in_the_spool_is_not_called_dead(root: Path):
    record = Record("mnist", "run", {"lock": "0" * 32, "host": socket.gethostname()})
    start_run(store_of(root), record, offline_is_fine=False)
    assert len(found_dead(root)) == 1
    record.finish("FINISHED")
    save_batch(store_of(root), [record])
    assert found_dead(root) == []


def test_a_folder_that_no_run_names_is_left_alone_while_somebody_works(root: Path):
    folder = leave_folder(root, new_ids(1)[0])
    os.utime(folder, (0, 0))
    assert len(list(unfinished_records(Site(root, store_of(root))))) == 1
    assert hold(root, "process")
    assert list(unfinished_records(Site(root, store_of(root)))) == []


def test_a_folder_of_a_deleted_run_is_removed_when_its_process_is_dead(root: Path):
    run_id = begin(root)
    leave_folder(root, run_id)
    store_of(root).remove([run_id])
    (finding,) = unfinished_records(Site(root, store_of(root)))
    mend(finding)
    assert names(root / "mlruns" / "spool") == set()


def test_lock_files_are_kept_while_they_are_held_or_a_run_may_need_them(root: Path):
    locks = root / "mlruns" / "locks"
    assert hold(root, "held")
    begin(root, host="elsewhere", lock="named")
    for name in ("named", "left"):
        (locks / f"{name}.lock").touch()
    for path in locks.iterdir():
        os.utime(path, (0, 0))
    os.utime(locks / "named.lock", (time.time() - 60, time.time() - 60))  # its process may live
    being_taken = locks / "being-taken.lock"
    being_taken.touch()
    os.utime(being_taken, (time.time() + 60, time.time() + 60))  # slow machines
    (finding,) = stale_locks(Site(root, store_of(root)))
    assert finding.what == "1 stale lock file"
    mend(finding)
    assert names(locks) == {"held.lock", "named.lock", "being-taken.lock"}


# Folders that were moved or copied.


def leave_record(root: Path, uri: str) -> None:
    """Leave a finished record for a store in the spool."""
    record = Record("mnist", "spooled", {})
    record.finish("FINISHED")
    (leave_folder(root, record.id) / "note.txt").write_text("kept")
    save_batch(open_store(TrackingConfig(uri=uri), root), [record])


def track(root: Path, name: str) -> str:
    """Track a run with one artifact and return its id."""
    run = start_run(store_of(root), Record("mnist", name, {}), offline_is_fine=False)
    with closing(run):
        (run.artifacts / "note.txt").write_text(name)
    return run.record.known_run_id


def test_artifacts_that_are_nowhere_are_named_and_not_rewritten(root: Path, tmp_path: Path):
    kept, lost = track(root, "kept"), track(root, "lost")
    shutil.rmtree(root / "mlruns" / "mnist" / lost)
    moved = tmp_path / "moved"
    root.rename(moved)
    nowhere, elsewhere = moved_artifacts(Site(moved, store_of(moved)))
    assert f"the artifacts of 1 run ({lost}) lie neither in {root}/mlruns/mnist" in nowhere.what
    assert nowhere.is_wrong
    assert nowhere.fix is None
    mend(elsewhere)
    runs = {run.info.run_id: run for run in command.runs(moved)}
    assert (command.artifacts(runs[kept]) / "note.txt").read_text() == "kept"
    assert command.artifacts(runs[lost]).is_relative_to(root)


def test_a_copy_is_mended_without_a_change_to_the_original(root: Path, tmp_path: Path):
    run_id = track(root, "run")
    leave_record(root, store_of(root).uri)
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    site = Site(copy, store_of(copy))
    for finding in [*moved_artifacts(site), *unsent_records(site)]:
        mend(finding)
    assert len(command.runs(copy)) == 2
    assert all(command.artifacts(run).is_relative_to(copy) for run in command.runs(copy))
    (original,) = command.runs(root)
    assert original.info.run_id == run_id
    assert command.artifacts(original).is_relative_to(root)
    assert names(root / "mlruns" / "mnist") == {run_id}


def test_artifacts_that_are_kept_elsewhere_on_purpose_are_left_alone(root: Path, tmp_path: Path):
    client = store_of(root).client
    track(root, "run")
    for location in (str(tmp_path / "mnist"), "mlflow-artifacts:/1", "s3://bucket/mnist"):
        experiment = client.create_experiment(location.replace("/", "."), location)
        client.set_terminated(client.create_run(experiment).info.run_id)
    note = tmp_path / "mnist" / client.search_runs(["2"])[0].info.run_id / "artifacts" / "note.txt"
    note.parent.mkdir(parents=True)
    note.touch()
    assert list(moved_artifacts(Site(root, store_of(root)))) == []


def test_interrupted_runs_move_with_their_experiment(root: Path, tmp_path: Path):
    begin(root)
    moved = tmp_path / "moved"
    root.rename(moved)
    (finding,) = moved_artifacts(Site(moved, store_of(moved)))
    mend(finding)
    (run,) = command.runs(moved)
    assert command.artifacts(run) == moved / "mlruns" / "mnist" / run.info.run_id / "artifacts"


def test_a_record_for_a_database_that_is_gone_makes_no_new_one(tmp_path: Path):
    gone = tmp_path / "gone" / "runs.db"
    leave_record(tmp_path, f"sqlite:///{gone}")
    (finding,) = unsent_records(Site(tmp_path, store_of(tmp_path)))
    assert finding.fix is None
    assert "isn't there" in finding.what
    assert not gone.parent.exists()


def test_a_checkpoint_that_is_being_written_is_left_alone(tmp_path: Path):
    unfinished = tmp_path / "mlruns" / "checkpoints" / "run" / "epoch-000013.tmp"
    unfinished.parent.mkdir(parents=True)
    unfinished.touch()
    assert len(list(corrupt_checkpoints(Site(tmp_path, store_of(tmp_path))))) == 1
    assert hold(tmp_path, "process")
    assert list(corrupt_checkpoints(Site(tmp_path, store_of(tmp_path)))) == []
    os.utime(unfinished, (0, 0))
    assert len(list(corrupt_checkpoints(Site(tmp_path, store_of(tmp_path))))) == 1
