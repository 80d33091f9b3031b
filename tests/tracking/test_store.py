from __future__ import annotations

import json
import math
import multiprocessing
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipeline.config.schema import TrackingConfig
from pipeline.errors import UserError
from pipeline.tracking.record import DatasetRecord, Record
from pipeline.tracking.run import LiveMetrics, close_runs, closing, start_run, start_runs
from pipeline.tracking.spool import batch_files, read_batch, save_batch, send_records
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
    record = Record(experiment_name, name, {"host": "here"}, {"seed": "0"}, DATASET)
    return closing(start_run(open_store(TrackingConfig(), root), record, offline_is_fine=False))


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


def the_runs(root: Path, experiment_name: str) -> list[Run]:
    """The runs of an experiment by name."""
    client = command.client(root)
    experiment = client.get_experiment_by_name(experiment_name)
    assert experiment is not None
    return client.search_runs([experiment.experiment_id], order_by=["attributes.run_name ASC"])


def spool(root: Path) -> list[Path]:
    return list((root / "mlruns" / "spool").iterdir())


def test_a_long_run_can_be_watched(root: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pipeline.tracking.run.SEND_AFTER_S", 0.0)
    monkeypatch.setattr("pipeline.tracking.run.MAX_SHARE", math.inf)
    records = [Record("watched", name, {}) for name in "12"]
    runs = start_runs(open_store(TrackingConfig(), root), records, offline_is_fine=False)
    live = LiveMetrics(runs)
    for epoch in (1, 2):
        for number, record in enumerate(records):
            record.log(epoch, {"train/loss": number + 1 / epoch})
        live.send_if_due()
        seen = the_runs(root, "watched")
        assert [run.info.status for run in seen] == ["RUNNING", "RUNNING"]
        assert [run.data.metrics["train/loss"] for run in seen] == [1 / epoch, 1 + 1 / epoch]
    close_runs(runs, [None, ZeroDivisionError("division by zero")])
    seen = the_runs(root, "watched")
    assert [run.info.status for run in seen] == ["FINISHED", "FAILED"]
    assert [len(command.history(root, run, "train/loss")) for run in seen] == [2, 2]


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


def ended(name: str, experiment_name: str = "mnist") -> Record:
    record = Record(experiment_name, name, {"a": "b"}, dataset=DATASET)
    record.log(1, {"train/loss": 0.5, "train/accuracy": math.inf})
    record.finish("FINISHED")
    return record


def test_records_come_back_from_disk_as_they_were(tmp_path: Path):
    records = [ended("one"), ended("two")]
    path = save_batch(open_store(TrackingConfig(), tmp_path), records)
    assert batch_files(tmp_path) == [path]
    assert read_batch(path).records == records


def test_a_metric_that_is_no_number_comes_back_as_it_was(tmp_path: Path):
    record = ended("run")
    record.log(2, {"train/loss": math.nan})
    (read,) = read_batch(save_batch(open_store(TrackingConfig(), tmp_path), [record])).records
    assert math.isnan(read.metrics[-1].value)


def damage(root: Path, content: str) -> Path:
    path = root / "mlruns" / "spool" / "damaged.json"
    path.parent.mkdir(parents=True)
    path.write_text(content)
    return path


@pytest.mark.parametrize("content", ["", "{", "[]", '{"records": 3}', '{"uri": ""}', "null"])
def test_a_damaged_file_of_records_is_named(tmp_path: Path, content: str):
    path = damage(tmp_path, content)
    with pytest.raises(UserError, match=re.escape(str(path))):
        read_batch(path)


def test_a_damaged_file_of_records_keeps_nobody_from_tracking(tmp_path: Path):
    path = damage(tmp_path, "{")
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
def interrupted(root: Path, request: pytest.FixtureRequest) -> Iterator[Record]:
    """Two runs, in the spool; the store has one of them whole, and the other one's metrics."""
    name = request.node.name
    records = [ended(f"{name}, {number}", name) for number in (1, 2)]
    store = open_store(TrackingConfig(), root)
    start_runs(store, records, offline_is_fine=False)
    save_batch(store, records)
    store.send(records[:1])
    store.send_metrics(records[1:])
    assert [found.info.status for found in the_runs(root, name)] == ["FINISHED", "RUNNING"]
    yield records[1]
    for path in batch_files(root):
        path.unlink()


def test_sending_that_was_interrupted_is_repeated_and_doubles_nothing(
    root: Path, interrupted: Record
):
    assert send_records(open_store(TrackingConfig(), root)) == (2, 0)
    runs = the_runs(root, interrupted.experiment_name)
    assert [run.info.status for run in runs] == ["FINISHED", "FINISHED"]
    for run in runs:
        assert list(command.history(root, run, "train/loss")) == [1]
        assert run.inputs is not None
        assert len(run.inputs.dataset_inputs) == 1
    assert spool(root) == []


def test_what_is_in_the_spool_is_sent_by_the_next_run(root: Path, interrupted: Record):
    with tracked(root, "next"):
        pass
    assert the_run(root, interrupted.name).info.status == "FINISHED"
    assert spool(root) == []


def test_files_in_the_spool_arrive_with_their_run(root: Path):
    record, store = ended("files"), open_store(TrackingConfig(), root)
    folder = root / "mlruns" / "spool" / record.id
    folder.mkdir()
    (folder / "note.txt").write_text("kept")
    save_batch(store, [record])
    assert send_records(store) == (1, 0)
    assert (command.artifacts(the_run(root, "files")) / "note.txt").read_text() == "kept"
    assert spool(root) == []


def test_a_record_that_is_refused_stays_alone(root: Path, caplog: pytest.LogCaptureFixture):
    store = open_store(TrackingConfig(), root)
    good, bad = ended("good"), ended("bad")
    bad.params["a" * 300] = "too long a key"
    path = save_batch(store, [good, bad])
    assert send_records(store) == (1, 1)
    assert f"kept in {path}" in caplog.text
    assert the_run(root, "good").info.status == "FINISHED"
    assert [record.name for record in read_batch(path).records] == ["bad"]
    path.unlink()


def test_records_for_another_store_are_left_alone(root: Path):
    elsewhere = open_store(TrackingConfig(uri="http://127.0.0.1:1"), root)
    path = save_batch(elsewhere, [ended("elsewhere")])
    assert send_records(open_store(TrackingConfig(), root)) == (0, 0)
    path.unlink()


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
    assert spool(root) == []


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
        save_batch(store, [ended(str(number), "together")])
    together(send_all, root, 4)
    experiment = command.client(root).get_experiment_by_name("together")
    assert experiment is not None
    runs = command.client(root).search_runs([experiment.experiment_id])
    assert sorted(int(run.info.run_name or "") for run in runs) == list(range(40))
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert spool(root) == []
