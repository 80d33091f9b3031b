"""Clusters that several tests share."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.cluster.ray import Ray, ray_cluster
from tests.cluster.slurm import Slurm, slurm_cluster


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
