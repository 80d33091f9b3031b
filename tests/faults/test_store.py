"""A store that can be read but not written to, and a server that is none of MLflow's."""

from __future__ import annotations

import http.server
import threading
from typing import TYPE_CHECKING

import pytest

from tests import command
from tests.faults import sweeps
from tests.faults.privileges import unprivileged

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GRID = ("-m", "trainer.max_epochs=1", "seed=0,1")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("read_only")
    assert command.train(root, *GRID).code == 0
    return root


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        ("mlflow.db", ()),
        ("mlflow.db", ("resume=last",)),
        ("mlruns/locks", ()),
        ("mlruns/locks", ("resume=last",)),
        ("mlruns/sweeps", ()),
    ],
    ids=lambda part: part if isinstance(part, str) else "resumed" if part else "new",
)
def test_what_cannot_be_written_is_named(root: Path, name: str, typed: tuple[str, ...]):
    path = root / name
    mode, before = path.stat().st_mode, sweeps.states(root)
    path.chmod(mode & ~0o222)
    done = command.run(
        root,
        *("data=digits", "trainer=cpu", f"root={root}", *GRID, *typed),
        before=unprivileged(),
    )
    path.chmod(mode)
    assert done.code == 1
    assert "Traceback" not in done.stdout + done.stderr
    error = done.errors[-1]
    assert error.startswith("error: ")
    assert str(path) in error
    assert "readonly" in error or "Permission denied" in error
    assert sweeps.states(root) == before


def test_a_single_run_names_what_cannot_be_written(tmp_path: Path):
    assert command.train(tmp_path, "trainer.max_epochs=1").code == 0
    locks = tmp_path / "mlruns" / "locks"
    locks.chmod(0o555)
    typed = ("data=digits", "trainer=cpu", f"root={tmp_path}", "trainer.max_epochs=1")
    done = command.run(tmp_path, *typed, before=unprivileged())
    locks.chmod(0o755)
    assert (done.code, done.stdout) == (1, "")
    (line,) = done.errors
    assert line.startswith(f"error: {locks}/")


@pytest.fixture(scope="module")
def strange_server() -> Iterator[str]:
    """A web server that knows nothing of MLflow."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):  # the base class's name
            self.send_error(404)

        do_POST = do_GET  # noqa: N815

        def log_message(self, format, *args):  # noqa: A002
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("resume", ["resume=last", "resume=any"])
def test_a_server_that_has_no_sweeps_to_resume_is_an_error(
    tmp_path: Path, strange_server: str, resume: str
):
    place = ("tracking=server", f"tracking.uri={strange_server}")
    done = command.train(tmp_path, *GRID, *place, resume)
    assert (done.code, done.stdout) == (1, "")
    assert "Traceback" not in done.stderr
    assert done.errors[-1].startswith(f"error: tracking.uri={strange_server}: ")
