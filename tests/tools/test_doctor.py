"""What a killed sweep, a moved folder and a bad disk leave behind, found and mended."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.config.schema import TrackingConfig
from pipeline.errors import UserError
from pipeline.tools.doctor.__main__ import open_site
from pipeline.tracking.record import Record, new_ids
from pipeline.tracking.spool import save_batch
from pipeline.tracking.store import open_store
from tests import command
from tests.mlflow_server import free_port

NOTHING = "nothing to do\n"


def doctor(root: Path, *arguments: str, before: tuple[str, ...] = ()) -> command.Done:
    done = command.run(
        root.parent, f"root={root}", *arguments, module="pipeline.doctor", before=before
    )
    assert "Traceback" not in done.stderr
    return done


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# A sweep whose process is killed in its second run, and whose folder is moved afterwards.


@dataclass(frozen=True)
class Story:
    """What the doctor said, chapter by chapter, and what was in the spool then."""

    old_root: Path
    root: Path
    alive: command.Done
    statuses_alive: list[str]
    before: command.Done
    statuses_before: list[str]
    files_before: set[str]
    fixed: command.Done
    after: command.Done
    spool: dict[str, set[str]]
    old: str
    """A folder of the spool that no run names, from 1970."""
    young: str
    """Another, of today."""


def statuses(root: Path) -> list[str]:
    return [run.info.status for run in command.runs(root)]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    old_root = tmp_path_factory.mktemp("old") / "project"
    root = tmp_path_factory.mktemp("new") / "moved here"
    old_root.mkdir()
    old, young = left_folder(old_root), left_folder(old_root)
    os.utime(old, (0, 0))
    spool: dict[str, set[str]] = {}
    grid = ("-m", "trainer.max_epochs=1,100000", "hydra.launcher.num_workers=1")
    arguments = ("data=digits", "trainer=cpu", f"root={old_root}", *grid)
    with command.started(old_root, *arguments) as process:
        command.read_until(process, "epoch 3/100000")
        alive = doctor(old_root, "--fix")
        statuses_alive = statuses(old_root)
        spool["alive"] = names(old_root / "mlruns" / "spool")
        assert process.poll() is None
        command.end_group(process)
    spool["killed"] = names(old_root / "mlruns" / "spool")
    save_record(old_root, "spooled")
    shutil.move(old_root, root)
    before = doctor(root)
    statuses_before, files_before = statuses(root), names(root)
    spool["before"] = names(root / "mlruns" / "spool")
    fixed = doctor(root, "--fix")
    spool["fixed"] = names(root / "mlruns" / "spool")
    after = doctor(root)
    return Story(
        old_root,
        root,
        alive,
        statuses_alive,
        before,
        statuses_before,
        files_before,
        fixed,
        after,
        spool,
        old.name,
        young.name,
    )


def left_folder(root: Path) -> Path:
    """A folder for files that are to be sent, of a run that nobody knows."""
    folder = root / "mlruns" / "spool" / new_ids(1)[0]
    folder.mkdir(parents=True)
    return folder


def save_record(root: Path, name: str) -> None:
    """A finished record with one artifact that the store of a root doesn't have yet."""
    record = Record("mnist", name, {})
    record.finish("FINISHED")
    folder = root / "mlruns" / "spool" / record.id
    folder.mkdir(parents=True)
    (folder / "note.txt").write_text(name)
    save_batch(open_store(TrackingConfig(), root), [record])


def test_nothing_of_a_living_process_is_touched(story: Story):
    assert (story.alive.code, story.alive.stdout, story.alive.stderr) == (0, NOTHING, "")
    assert story.statuses_alive == ["RUNNING", "FINISHED", "RUNNING"]
    assert story.spool["alive"] == {story.old, story.young}
    assert story.spool["alive"] == story.spool["killed"]


def test_without_fix_all_is_said_and_nothing_done(story: Story):
    assert story.before.code == 1
    assert story.statuses_before == story.statuses_alive
    assert story.spool["before"] > story.spool["killed"]
    lines = story.before.stdout.splitlines()
    assert len(lines) == 6
    assert "mlflow.db.before-fix" not in story.files_before
    assert all("(with --fix: " in line for line in lines)


def test_dead_runs_and_their_sweep_are_set_to_killed(story: Story):
    dead = [run for run in command.runs(story.root) if run.info.status == "KILLED"]
    assert [run.data.tags["error"] for run in dead] == ["its process died"] * 2
    assert all(run.info.end_time is not None for run in dead)
    assert sorted(statuses(story.root)) == ["FINISHED", "FINISHED", "KILLED", "KILLED"]
    for run in dead:
        line = f"run {run.info.run_id} ({run.info.run_name}) is RUNNING, but its process died"
        assert f"{line} (with --fix: set to KILLED)\n" in story.before.stdout
        assert f"{line}: set to KILLED\n" in story.fixed.stdout


def test_old_folders_of_nobody_are_removed(story: Story):
    assert story.spool["fixed"] == {story.young}
    assert f"{story.old} is left of a run whose process died: removed\n" in story.fixed.stdout


def test_a_record_in_the_spool_is_sent_to_the_database_that_moved_with_it(story: Story):
    assert f"1 finished run not sent to sqlite:///{story.root}/mlflow.db: sent\n" in (
        story.fixed.stdout
    )
    (sent,) = [run for run in command.runs(story.root) if run.info.run_name == "spooled"]
    assert sent.info.status == "FINISHED"
    assert (command.artifacts(sent) / "note.txt").is_relative_to(story.root)
    assert not story.old_root.exists()


def test_artifacts_are_found_again_where_they_were_moved(story: Story, tmp_path: Path):
    moved = (
        f"mlflow.db looks for the artifacts of 3 runs and 1 experiment in {story.old_root}/mlruns, "
        f"but they lie in {story.root}/mlruns"
    )
    assert f"{moved} (with --fix: corrected" in story.before.stdout
    assert f"{moved}: corrected" in story.fixed.stdout
    store = command.client(story.root)
    run = next(run for run in command.children(story.root) if run.info.status == "FINISHED")
    assert {entry.path for entry in store.list_artifacts(run.info.run_id)} == command.RUN_FILES
    fetched = store.download_artifacts(run.info.run_id, "weights.safetensors", str(tmp_path))
    assert Path(fetched).stat().st_size > 0


def test_the_database_as_it_was_is_kept(story: Story):
    with closing(sqlite3.connect(story.root / "mlflow.db.before-fix")) as connection:
        places = connection.execute("SELECT artifact_uri FROM runs").fetchall()
    assert len(places) == 3
    assert all(place.startswith(f"{story.old_root}/mlruns/mnist/") for (place,) in places)


def test_after_the_fix_there_is_nothing_to_do(story: Story):
    assert (story.fixed.code, story.fixed.stderr) == (0, "")
    assert (story.after.code, story.after.stdout) == (0, NOTHING)


def test_lock_files_of_the_dead_are_one_line(story: Story):
    assert "2 stale lock files (with --fix: removed)\n" in story.before.stdout
    assert names(story.root / "mlruns" / "locks") == set()


# Files that are damaged, below a root without a database.


def write_checkpoint(root: Path, content: bytes, stored: bytes | None = None) -> str:
    name = f"epoch-000012-{hashlib.sha256(content).hexdigest()}.safetensors"
    folder = root / "mlruns" / "checkpoints" / "run"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content if stored is None else stored)
    return name


def test_damaged_files_are_moved_away_and_whole_ones_stay(tmp_path: Path):
    root = tmp_path / "root"
    whole = write_checkpoint(root, b"whole")
    corrupt = {write_checkpoint(root, b"cut off", b"cut"), write_checkpoint(root, b"empty", b"")}
    checkpoints = root / "mlruns" / "checkpoints" / "run"
    (checkpoints / "epoch-000013.tmp").write_bytes(b"half")
    (checkpoints / "notes.json").write_text("{}")
    records = root / "mlruns" / "spool" / "records.json"
    records.parent.mkdir(parents=True)
    records.write_text("{")
    fixed = doctor(root, "--fix")
    assert (fixed.code, fixed.stdout.count(": moved to mlruns/damaged/")) == (0, 4)
    damaged = root / "mlruns" / "damaged"
    assert names(checkpoints) == {whole, "notes.json"}
    assert names(damaged / "checkpoints" / "run") == {*corrupt, "epoch-000013.tmp"}
    assert (damaged / "spool" / records.name).read_text() == "{"
    assert not records.exists()
    assert not (root / "mlflow.db").exists()


def test_files_of_a_run_that_are_not_what_was_written_are_named(tmp_path: Path):
    assert command.train(tmp_path, "-m", "trainer.max_epochs=1", "seed=0,1").code == 0
    assert doctor(tmp_path).code == 0
    one, other = command.children(tmp_path)
    flipped = bytearray((command.artifacts(one) / "weights.safetensors").read_bytes())
    flipped[-1] ^= 1
    (command.artifacts(one) / "weights.safetensors").write_bytes(flipped)
    (command.artifacts(one) / "curves.png").unlink()
    (command.artifacts(other) / "config.yaml").write_text("seed: 7\n")
    done = doctor(tmp_path)
    assert done.code == 1
    said = {line.partition(":")[0]: line for line in done.stdout.splitlines()}
    for run, damaged in ((one, "curves.png, weights.safetensors"), (other, "config.yaml")):
        place = command.artifacts(run).relative_to(tmp_path)
        assert said[str(place)].startswith(f"{place}: {damaged} is not what was written: ")
        assert run.info.run_id in said[str(place)]
        sums = subprocess.run(
            ["sha256sum", "--check", "SHA256SUMS"],
            cwd=command.artifacts(run),
            capture_output=True,
            text=True,
            check=False,
        )
        assert [name in sums.stdout for name in damaged.split(", ")]
        assert sums.stdout.count(": OK\n") == 6 - len(damaged.split(", "))


# What the doctor can't do.


def error_of(done: command.Done) -> str:
    assert (done.code, done.stdout) == (1, "")
    (line,) = done.errors
    assert line.startswith("error: ")
    return line


def test_a_record_whose_store_is_away_stays_and_the_exit_code_tells(tmp_path: Path):
    uri = f"http://127.0.0.1:{free_port()}"
    record = Record("mnist", "run", {})
    record.finish("FINISHED")
    kept = save_batch(open_store(TrackingConfig(uri=uri), tmp_path), [record])
    done = doctor(tmp_path, "--fix")
    assert done.code == 1
    assert f"1 finished run not sent to {uri}: not sent (1 still in the spool)" in done.stdout
    assert kept.is_file()


def test_a_store_that_does_not_answer_is_a_clear_error(tmp_path: Path):
    uri = f"http://127.0.0.1:{free_port()}"
    assert f"tracking.uri={uri}" in error_of(doctor(tmp_path, f"tracking.uri={uri}"))


def test_a_database_that_is_none_is_a_clear_error(tmp_path: Path):
    (tmp_path / "mlflow.db").write_text("not a database" * 100)
    assert f"{tmp_path}/mlflow.db" in error_of(doctor(tmp_path, "--fix"))


def test_a_root_that_is_not_there_is_not_made(tmp_path: Path):
    root = tmp_path / "typo"
    with pytest.raises(UserError, match=rf"root={root}: can't write there"):
        open_site(root, uri=None)
    assert not root.exists()


def test_a_root_without_the_right_to_write_is_a_clear_error(tmp_path: Path):
    unprivileged = ("unshare", "--user", "--map-user=1000")
    try:
        subprocess.run([*unprivileged, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip(f"this machine doesn't allow {' '.join(unprivileged)}")
    root = tmp_path / "root"
    root.mkdir(mode=0o555)
    line = error_of(doctor(root, "--fix", before=unprivileged))
    assert f"root={root}: can't write there" in line
