from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests import command
from tests.faults.privileges import unprivileged


def refused(tmp_path: Path, *overrides: str, before: tuple[str, ...] = ()) -> str:
    """Run the command, which must end with one line; return it."""
    done = command.run(tmp_path, *overrides, before=before)
    assert (done.code, done.stdout) == (1, "")
    (line,) = done.errors
    assert line.startswith("error: ")
    return line


def test_a_root_that_is_a_file(tmp_path: Path):
    root = tmp_path / "file"
    root.write_text("mine")
    line = refused(tmp_path, "data=digits", f"root={root}")
    assert f"root={root}" in line
    assert root.read_text() == "mine"


def test_a_root_that_cannot_be_made(tmp_path: Path):
    assert "root=/proc/nowhere: can't write in" in refused(
        tmp_path, "data=digits", "root=/proc/nowhere"
    )


def test_a_root_without_the_right_to_write(tmp_path: Path):
    root = tmp_path / "root"
    root.mkdir(mode=0o555)
    line = refused(tmp_path, "data=digits", f"root={root}", before=unprivileged())
    assert f"root={root}: can't write in" in line
    assert list(root.iterdir()) == []


def test_a_database_that_cannot_be_made(tmp_path: Path):
    uri = "sqlite:////proc/nowhere/mlflow.db"
    line = refused(tmp_path, "data=digits", f"root={tmp_path}", f"tracking.uri={uri}")
    assert f"tracking.uri={uri}" in line
    assert command.nothing_tracked(tmp_path)


def test_a_database_whose_driver_is_missing(tmp_path: Path):
    uri = "postgresql+nosuchdriver://host/runs"
    done = command.train(tmp_path, f"tracking.uri={uri}")
    assert done.code == 1
    assert done.errors[-1].startswith(f"error: tracking.uri={uri}: ")
    assert "Traceback" not in done.stdout + done.stderr
    assert command.nothing_tracked(tmp_path)


def test_a_data_root_that_is_a_file(tmp_path: Path):
    file = tmp_path / "file"
    file.write_text("mine")
    line = refused(tmp_path, f"root={tmp_path}", f"data.root={file}")
    assert f"data.root={file}" in line
    assert file.read_text() == "mine"
    assert command.nothing_tracked(tmp_path)


def test_a_data_root_without_the_right_to_read(tmp_path: Path):
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o000)
    line = refused(tmp_path, f"root={tmp_path}", f"data.root={folder}", before=unprivileged())
    assert f"data.root={folder}" in line
    assert command.nothing_tracked(tmp_path)


def test_missing_data_that_may_not_be_fetched(tmp_path: Path):
    folder = tmp_path / "empty"
    overrides = (f"root={tmp_path}", f"data.root={folder}", "data.download=false")
    line = refused(tmp_path, *overrides)
    assert f"data.root={folder}" in line
    assert "data.download=true" in line


def test_a_gpu_that_is_not_there(tmp_path: Path):
    overrides = ("data=digits", "trainer=gpu", f"root={tmp_path}")
    done = command.run(tmp_path, *overrides, CUDA_VISIBLE_DEVICES="")
    assert done.code == 1
    (line,) = done.errors
    assert line.startswith("error: trainer.accelerator=gpu: ")
    assert "trainer=cpu" in line
    assert command.nothing_tracked(tmp_path)


CAPABILITIES = torch.cpu.get_capabilities()
HAS_BF16 = bool(CAPABILITIES.get("avx512_bf16") or CAPABILITIES.get("amx_bf16"))
BF16 = ("data=digits", "trainer=cpu", "trainer.precision=bf16")


@pytest.mark.parametrize(
    ("batch_size", "why"),
    [(20, "with data.batch_size=20 it would be slower"), (50, "has 32,000 multiplications")],
)
def test_bf16_where_it_is_not_there_or_would_be_slower(tmp_path: Path, batch_size: int, why: str):
    line = refused(tmp_path, *BF16, f"data.batch_size={batch_size}", f"root={tmp_path}")
    assert line.startswith("error: trainer.precision=bf16: ")
    assert (why if HAS_BF16 else "no instructions for bfloat16") in line
    assert "trainer.precision=float32" in line
    assert command.nothing_tracked(tmp_path)


@pytest.mark.skipif(not HAS_BF16, reason="this CPU has no bfloat16")
def test_bf16_where_it_is_quicker(tmp_path: Path):
    wide = ("model=mlp", "model.hidden=[2000]", "data.batch_size=100", "trainer.max_steps=2")
    done = command.run(tmp_path, *BF16, *wide, f"root={tmp_path}")
    assert (done.code, done.errors) == (0, [])
    (run,) = command.runs(tmp_path)
    assert run.data.params["trainer.precision"] == "bf16"


@pytest.mark.parametrize("trainer", ["cpu", "auto"])
def test_tf32_where_no_gpu_is_used(tmp_path: Path, trainer: str):
    overrides = ("data=digits", f"trainer={trainer}", "trainer.precision=tf32", f"root={tmp_path}")
    done = command.run(tmp_path, *overrides, CUDA_VISIBLE_DEVICES="")
    assert (done.code, done.stdout) == (1, "")
    (line,) = done.errors
    assert line.startswith("error: trainer.precision=tf32: this would train on a CPU")
    assert "trainer.precision=float32" in line
    assert command.nothing_tracked(tmp_path)


def test_one_bad_place_in_a_sweep_stops_it_before_its_first_run(tmp_path: Path):
    file = tmp_path / "file"
    file.write_text("mine")
    line = refused(tmp_path, "-m", "data=digits,mnist", f"root={tmp_path}", f"data.root={file}")
    assert f"data.root={file}" in line
    assert command.nothing_tracked(tmp_path)
