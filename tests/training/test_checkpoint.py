from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch

from pipeline.errors import UserError
from pipeline.training.checkpoint import Checkpoint, Schedule, load_newest, remove, write


def kept(epoch: int) -> Checkpoint:
    return Checkpoint(epoch, {"weights": torch.full((2, 3), float(epoch))}, {"epochs": [epoch]})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for epoch in (1, 2, 12):
        write(tmp_path / "run", kept(epoch))
    return tmp_path / "run"


def newest(folder: Path) -> Path:
    return max(folder.glob("epoch-*"))


def test_the_newest_checkpoint_comes_back_as_it_was(folder: Path):
    found = load_newest(folder)
    assert found is not None
    assert (found.epoch, found.notes) == (12, {"epochs": [12]})
    assert found.tensors["weights"].equal(torch.full((2, 3), 12.0))


def test_the_one_before_is_kept_and_no_other(folder: Path):
    assert [path.name[:12] for path in sorted(folder.iterdir())] == ["epoch-000002", "epoch-000012"]


@pytest.mark.parametrize("damage", ["cut off", "flipped", "emptied", "pickle"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_taken(
    damage: str, folder: Path, caplog: pytest.LogCaptureFixture
):
    path = newest(folder)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    contents = {
        "cut off": path.read_bytes()[:-1],
        "flipped": bytes(content),
        "emptied": b"",
        "pickle": pickle.dumps({"weights": 1}),
    }
    path.write_bytes(contents[damage])
    found = load_newest(folder)
    assert found is not None
    assert found.epoch == 2
    assert str(path) in caplog.text


def test_if_all_are_damaged_there_is_none(folder: Path):
    for path in folder.iterdir():
        path.write_bytes(b"?")
    assert load_newest(folder) is None


def test_an_interrupted_write_leaves_nothing_that_is_read(folder: Path):
    (folder / "epoch-000099-0123.tmp").write_bytes(b"half")
    found = load_newest(folder)
    assert found is not None
    assert found.epoch == 12


def test_a_place_that_cannot_be_written_to_is_named(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"file/run.*can't be written.*resume=last"):
        write(tmp_path / "file" / "run", kept(1))


def test_a_run_that_ended_well_leaves_none(folder: Path):
    remove(folder)
    assert load_newest(folder) is None


def test_short_runs_write_nothing_and_long_ones_when_it_is_time(monkeypatch: pytest.MonkeyPatch):
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    schedule = Schedule(60, None)
    due: list[int] = []
    for epoch in range(1, 15):
        now += 10
        if schedule.is_due(epoch):
            due.append(epoch)
    assert due == [6, 12]


def test_epochs_can_be_counted_instead():
    schedule = Schedule(60, 3)
    assert [epoch for epoch in range(1, 8) if schedule.is_due(epoch)] == [3, 6]
