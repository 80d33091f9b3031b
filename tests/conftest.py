"""What several test modules share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler.loadfile import LoadFileScheduling

from pipeline.data import prepare

USE_THE_IMAGE = ("test_compose", "test_container", "test_container_on_slurm", "test_kubernetes")


class ByImage(LoadFileScheduling):
    """Gives each file to one process, and those that use the project's image to the same one.

    Building it takes minutes.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "image" if Path(file).stem in USE_THE_IMAGE else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByImage | None:
    """Say how tests are divided among processes."""
    return ByImage(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.fixture(scope="session")
def mnist_root() -> Path:
    """A folder with the real MNIST, fetched the first time and kept.

    It lies in the checkout, or where PIPELINE_TEST_DATA says.
    """
    checkout = Path(__file__).parent.parent
    root = Path(os.environ.get("PIPELINE_TEST_DATA", checkout / "data" / "mnist"))
    prepare("mnist", root, download=True)
    return root
