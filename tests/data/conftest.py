import pytest
from pipeline.data import prepare


@pytest.fixture(scope="session")
def mnist_root(tmp_path_factory):
    root = tmp_path_factory.mktemp("mnist") / "data"
    prepare("mnist", root, download=True)
    return root
