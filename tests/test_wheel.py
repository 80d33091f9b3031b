from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests import command


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's wheel, built from a copy so that the checkout stays as it is."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(command.CHECKOUT / name, source)
    for name in ("conf", "hydra_plugins", "pipeline"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(command.CHECKOUT / name, source / name, ignore=ignored)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), "."]
    done = subprocess.run(build, cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, installed into a folder of its own."""
    folder = tmp_path_factory.mktemp("site")
    install = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install"]
    subprocess.run(
        [*install, "--no-deps", "--target", str(folder), str(wheel)],
        check=True,
        capture_output=True,
    )
    return folder


def test_the_wheel_has_the_configs_the_code_and_its_types(wheel: Path):
    names = zipfile.ZipFile(wheel).namelist()
    for path in command.CHECKOUT.glob("conf/**/*.yaml"):
        assert f"pipeline/{path.relative_to(command.CHECKOUT)}" in names
    for folder in ("pipeline", "hydra_plugins"):
        for path in command.CHECKOUT.glob(f"{folder}/**/*.py"):
            assert str(path.relative_to(command.CHECKOUT)) in names
    assert "pipeline/py.typed" in names
    assert not [name for name in names if name.startswith(("tests", "conf/", "mlruns", "data"))]


def test_the_installed_command_trains_a_sweep_from_any_folder(site: Path, tmp_path: Path):
    overrides = ("data=digits", "trainer=cpu", "trainer.max_epochs=1", "seed=0,1")
    done = command.run(tmp_path, "-m", *overrides, PYTHONPATH=str(site))
    assert (done.code, done.stderr) == (0, "")
    assert "runs 1-2 of 2 train together: " in done.stdout
    runs = command.children(tmp_path)
    assert [run.info.status for run in runs] == ["FINISHED"] * 2
    for run in runs:
        assert "git.commit" not in run.data.tags
        assert command.artifacts(run).is_relative_to(tmp_path / "mlruns" / "mnist")
    assert {path.name for path in tmp_path.iterdir()} <= {"mlflow.db", "mlflow.db.lock", "mlruns"}


def test_the_installed_command_reads_its_own_configs(site: Path, tmp_path: Path):
    path = site / "pipeline" / "conf" / "loss" / "extra.yaml"
    path.write_text("name: ce\n")
    try:
        done = command.run(tmp_path, "--help", PYTHONPATH=str(site))
        assert "loss: ce, extra, focal, huber, mse" in done.stdout
    finally:
        path.unlink()


def test_the_console_script_is_installed(site: Path, tmp_path: Path):
    done = subprocess.run(
        [site / "bin" / "pipeline", "--help"],
        cwd=tmp_path,
        env=command.environment(PYTHONPATH=str(site)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "regularizer: elastic, l1, l2, none" in done.stdout
