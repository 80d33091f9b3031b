"""Clusters and an image of the project that several tests share."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests import command
from tests.cluster.containers import Engine, require_programs
from tests.cluster.ray import Ray, ray_cluster
from tests.cluster.slurm import Slurm, slurm_cluster
from tests.cluster.sweeps import LIMIT_S, LONG, words
from tests.command import CHECKOUT

PYTHON_IMAGE = "docker.io/library/python:3.11-slim"
"""What the Dockerfile starts from."""


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Generator[Engine]:
    """A container engine that has the project's image, built as docs/containers.md says."""
    require_programs()
    engine = Engine(tmp_path_factory.mktemp("engine"))
    try:
        engine.make_base_image(PYTHON_IMAGE)
        typed = "docker build --build-arg TORCH_INDEX=URL --tag pipeline ."
        assert typed in (CHECKOUT / "docs" / "containers.md").read_text()
        typed = typed.replace("URL", "").replace(
            "--tag", "--build-arg EXTRAS=postgresql,slurm --tag"
        )
        done = engine.type(typed, CHECKOUT, timeout_s=1200)
        assert done.code == 0, done.stdout + done.stderr
        yield engine
    finally:
        engine.close()


@pytest.fixture(scope="package")
def shared_slurm() -> Generator[Slurm]:
    with slurm_cluster() as cluster:
        yield cluster


@pytest.fixture
def slurm(shared_slurm: Slurm) -> Generator[Slurm]:
    """A Slurm cluster whose nodes are idle."""
    shared_slurm.wait_ready()
    yield shared_slurm
    shared_slurm.cancel_all()


@pytest.fixture(scope="module")
def ray() -> Generator[Ray]:
    with ray_cluster() as cluster:
        yield cluster


@pytest.fixture(scope="package")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """The numbers of the long sweep as this machine trains it, nobody disturbing."""
    root = tmp_path_factory.mktemp("undisturbed")
    assert command.run(root, *words(root, *LONG), limit_s=LIMIT_S).code == 0
    return {
        run.data.tags["config_hash"]: run.data.metrics["val/accuracy"]
        for run in command.children(root)
    }
