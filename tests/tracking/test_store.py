from __future__ import annotations

import json
import multiprocessing
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipeline.config.schema import TrackingConfig
from pipeline.errors import UserError
from pipeline.tracking.record import DatasetRecord, Record, read_record
from pipeline.tracking.run import LiveMetrics, closing, start_run
from pipeline.tracking.spool import new_folder, send_records, spooled_folders
from pipeline.tracking.store import Store, open_store
from tests import command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from mlflow.entities import Run

    from pipeline.tracking.run import TrackedRun

DATASET = DatasetRecord("digits", "0123456789abcdef", "scikit-learn", 1242, 200, 355)


def tracked(
    root: Path, name: str = "run", experiment_name: str = "mnist"
) -> AbstractContextManager[TrackedRun]:
    run = start_run(
        open_store(TrackingConfig(), root),
        experiment_name=experiment_name,
        name=name,
        tags={"host": "here"},
        params={"seed": "0"},
        dataset=DATASET,
        offline_is_fine=False,
    )
    return closing(run)


def log_three_epochs(run: TrackedRun) -> None:
    for epoch in (1, 2, 3):
        run.record.log(epoch, {"train/loss": 1 / epoch, "test/accuracy": 1 - 1 / epoch})
    (run.artifacts / "note.txt").write_text("kept")


def break_after_three_epochs(run: TrackedRun) -> None:
    log_three_epochs(run)
    raise ZeroDivisionError("division by zero")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that exists already: making its tables takes a second or two."""
    folder = tmp_path_factory.mktemp("store")
    with tracked(folder, "first"):
        pass
    return folder


def the_run(root: Path, name: str) -> Run:
    (found,) = [run for run in command.runs(root) if run.info.run_name == name]
    return found


def spool(root: Path) -> list[Path]:
    return list((root / "mlruns" / "spool").iterdir())


def test_a_long_run_can_be_watched(root: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pipeline.tracking.run.SEND_AFTER_S", 0.0)
    with tracked(root, "watched, 1") as one, tracked(root, "watched, 2") as two:
        live = LiveMetrics([one, two])
        one.record.log(1, {"train/loss": 0.5})
        two.record.log(1, {"train/loss": 0.25})
        live.send_if_due()
        seen = [the_run(root, f"watched, {number}") for number in (1, 2)]
        assert [run.info.status for run in seen] == ["RUNNING", "RUNNING"]
        assert [run.data.metrics["train/loss"] for run in seen] == [0.5, 0.25]


# The status of a run.


def test_a_block_that_ends_is_a_finished_run(root: Path):
    with tracked(root, "ends") as run:
        assert the_run(root, "ends").info.status == "RUNNING"
        log_three_epochs(run)
    found = the_run(root, "ends")
    assert found.info.status == "FINISHED"
    assert command.history(root, found, "train/loss") == {1: 1.0, 2: 1 / 2, 3: 1 / 3}
    assert (command.artifacts(found) / "note.txt").read_text() == "kept"
    assert spool(root) == []


def test_a_block_that_raises_is_a_failed_run(root: Path):
    with pytest.raises(ZeroDivisionError), tracked(root, "raises") as run:
        break_after_three_epochs(run)
    found = the_run(root, "raises")
    assert found.info.status == "FAILED"
    assert found.data.tags["error"] == "division by zero"
    assert "ZeroDivisionError" in (command.artifacts(found) / "traceback.txt").read_text()
    assert len(command.history(root, found, "train/loss")) == 3


@pytest.mark.parametrize("signal", [KeyboardInterrupt, SystemExit])
def test_a_block_that_is_interrupted_is_a_killed_run(root: Path, signal: type[BaseException]):
    name = signal.__name__
    with pytest.raises(signal), tracked(root, name):
        raise signal
    assert the_run(root, name).info.status == "KILLED"


# Records.


def test_a_record_comes_back_from_disk_as_it_was(tmp_path: Path):
    record = Record(new_folder(tmp_path), "sqlite://", "mnist", "run", {"a": "b"}, dataset=DATASET)
    record.log(1, {"train/loss": 0.5})
    record.finish("FINISHED")
    record.save()
    assert read_record(Path(record.folder)) == record
    assert spooled_folders(tmp_path) == [Path(record.folder)]


def test_a_record_that_is_still_written_is_not_sent(tmp_path: Path):
    new_folder(tmp_path)
    assert spooled_folders(tmp_path) == []


@pytest.mark.parametrize("content", ["", "{", "[]", '{"metrics": 3}', '{"metrics": []}', "null"])
def test_a_damaged_record_is_named(tmp_path: Path, content: str):
    path = Path(new_folder(tmp_path)) / "record.json"
    path.write_text(content)
    with pytest.raises(UserError, match=re.escape(str(path))):
        read_record(path.parent)


def test_a_damaged_record_keeps_nobody_from_tracking(tmp_path: Path):
    path = Path(new_folder(tmp_path)) / "record.json"
    path.write_text("{")
    with tracked(tmp_path):
        pass
    assert the_run(tmp_path, "run").info.status == "FINISHED"
    assert path.exists()


def test_the_password_of_an_address_is_shown_nowhere(tmp_path: Path):
    uri = f"sqlite://user:hunter2@/{tmp_path}/mlflow.db"
    store = Store(uri, tmp_path)
    assert "hunter2" not in store.how_to_open()
    assert "hunter2" not in str(store.unavailable(OSError(f"no {uri}")))


# The spool.


@pytest.fixture
def interrupted(root: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """A run whose sending was interrupted before its files were there, after its metrics."""
    name = request.node.name
    with tracked(root, name, experiment_name=name) as run:
        log_three_epochs(run)
        place = root / "mlruns" / name
        place.parent.mkdir(exist_ok=True)
        place.write_text("in the way")
    yield name
    for folder in spooled_folders(root):
        shutil.rmtree(folder)


def test_sending_that_was_interrupted_is_repeated_and_doubles_nothing(root: Path, interrupted: str):
    (spooled,) = spooled_folders(root)
    assert len(command.history(root, the_run(root, interrupted), "train/loss")) == 3
    (root / "mlruns" / interrupted).unlink()
    assert send_records(open_store(TrackingConfig(), root)) == (1, 0)
    found = the_run(root, interrupted)
    assert found.info.status == "FINISHED"
    assert list(command.history(root, found, "train/loss")) == [1, 2, 3]
    assert (command.artifacts(found) / "note.txt").is_file()
    assert found.inputs is not None
    assert len(found.inputs.dataset_inputs) == 1
    assert not spooled.exists()


def test_what_is_in_the_spool_is_sent_by_the_next_run(root: Path, interrupted: str):
    (root / "mlruns" / interrupted).unlink()
    with tracked(root, "next"):
        pass
    assert the_run(root, interrupted).info.status == "FINISHED"
    assert spooled_folders(root) == []


def test_a_run_made_just_before_its_sending_was_interrupted_is_not_made_twice(root: Path):
    store = open_store(TrackingConfig(), root)
    record = Record(new_folder(root), store.uri, "mnist", "made", {})
    record.finish("FINISHED")
    record.save()
    store.create_run(record)  # and the process died before it could note the id
    assert send_records(store) == (1, 0)
    assert the_run(root, "made").info.status == "FINISHED"


def test_a_record_for_another_store_is_left_alone(root: Path):
    record = Record(new_folder(root), "http://127.0.0.1:1", "mnist", "elsewhere", {})
    record.finish("FINISHED")
    record.save()
    assert send_records(open_store(TrackingConfig(), root)) == (0, 0)
    record.remove()


# Experiments.


@pytest.mark.parametrize(
    "name", ["../../outside", "/etc", "..", "a/b", ".hidden", "ñandú 4.1", "…"]
)
def test_artifacts_stay_below_the_root_whatever_the_experiment_is_called(root: Path, name: str):
    with tracked(root, name, experiment_name=name) as run:
        log_three_epochs(run)
    folder = command.artifacts(the_run(root, name))
    assert folder.resolve().is_relative_to(root / "mlruns")
    assert (folder / "note.txt").is_file()


def test_a_deleted_experiment_says_how_to_restore_it(root: Path):
    with tracked(root, "gone", experiment_name="gone"):
        pass
    experiment = command.client(root).get_experiment_by_name("gone")
    assert experiment is not None
    command.client(root).delete_experiment(experiment.experiment_id)
    with pytest.raises(UserError, match=r"experiment_name=gone.*mlflow experiments restore"):
        tracked(root, experiment_name="gone").__enter__()
    assert spooled_folders(root) == []


def test_an_experiment_of_a_server_is_refused(root: Path):
    command.client(root).create_experiment("served", "mlflow-artifacts:/1")
    with pytest.raises(UserError, match=r"experiment_name=served.*tracking=server"):
        tracked(root, experiment_name="served").__enter__()


def test_the_source_of_the_data_is_readable_json_whatever_its_folder_is_called(root: Path):
    odd = DatasetRecord("mnist", "0123", 'C:\\data\\"old"', 1, 0, 1)
    with tracked(root, "odd") as run:
        run.record.dataset = odd
    found = the_run(root, "odd")
    assert found.inputs is not None
    (entry,) = found.inputs.dataset_inputs
    assert json.loads(entry.dataset.source) == {"uri": odd.source}


# Many processes.


def together(target: Callable[[Path, int], None], root: Path, num_processes: int) -> None:
    """Call a function in several processes at once; all must end well."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pipeline.tracking.run"])
    numbers = range(num_processes)
    processes = [context.Process(target=target, args=(root, number)) for number in numbers]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=command.TIMEOUT_S)
    assert [process.exitcode for process in processes] == [0] * num_processes


def send_all(root: Path, _number: int) -> None:
    while send_records(open_store(TrackingConfig(), root)) != (0, 0):
        pass


def test_processes_that_send_together_bring_every_record_in_once(root: Path):
    store = open_store(TrackingConfig(), root)
    for number in range(40):
        record = Record(new_folder(root), store.uri, "together", str(number), {})
        record.log(1, {"train/loss": 0.5})
        record.finish("FINISHED")
        record.save()
    together(send_all, root, 4)
    experiment = command.client(root).get_experiment_by_name("together")
    assert experiment is not None
    runs = command.client(root).search_runs([experiment.experiment_id])
    assert sorted(int(run.info.run_name or "") for run in runs) == list(range(40))
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert spool(root) == []
