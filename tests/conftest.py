"""What several test modules share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.data import prepare


@pytest.fixture(scope="session")
def mnist_root() -> Path:
    """A folder with the real MNIST, fetched the first time and kept.

    It lies in the checkout, or where PIPELINE_TEST_DATA says.
    """
    checkout = Path(__file__).parent.parent
    root = Path(os.environ.get("PIPELINE_TEST_DATA", checkout / "data" / "mnist"))
    prepare("mnist", root, download=True)
    return root
