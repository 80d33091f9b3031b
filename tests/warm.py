"""Commands that start from a warm process, which has imported everything and does nothing else.

`python -m pipeline` spends four seconds on imports. Here one process per test worker has them
behind it, and forks itself for every command: `Command` is `subprocess.Popen` in all but its start.
The fork takes over the caller's folder, environment, arguments, streams and a session of its own,
runs the module as `python -m` does, and ends as any interpreter ends.

What differs from a new interpreter: what was imported stays imported, and what is read from the
environment on import was read before. So these commands say nothing on start-up.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import importlib
import json
import os
import pkgutil
import runpy
import socket
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy

import pipeline
from pipeline.process import leave

CHECKOUT = Path(__file__).parent.parent

LATE_IMPORTS = (
    "alembic.command",
    "matplotlib.backends.backend_agg",
    "mlflow.store.tracking.sqlalchemy_store",
    "sklearn.datasets",
    "sqlalchemy.dialects.sqlite",
)
"""What commands need and no module of ours imports on its first line."""

NO_THREADS = {"JE_ARROW_MALLOC_CONF": "background_thread:false", "OPENBLAS_NUM_THREADS": "1"}
"""For pyarrow, which MLflow imports, and numpy: only a process without other threads can be forked
safely."""

LONGEST_REQUEST = 2**18
"""Linux takes 208 kB in one message; an environment has some ten."""

PR_SET_CHILD_SUBREAPER = 36


def environment(**extra: str) -> dict[str, str]:
    """The variables for a command: this checkout's code, nothing of the caller's."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("GOMP_", "HYDRA_", "MLFLOW_", "OMP_", "PYTEST_"))
    }
    return {
        **kept,
        "PYTHONPATH": str(CHECKOUT),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        **extra,
    }


class Request(NamedTuple):
    """What a command is started with, beside its three streams."""

    module: str
    arguments: list[str]
    folder: str
    environment: dict[str, str]


# The tests' side.


class Command(subprocess.Popen[str]):
    """A process like that of `[sys.executable, "-m", module, *arguments]`, from a warm one.

    Its pid is also that of its process group. All three streams have to be given.
    """

    def _execute_child(self, args: Sequence[str], *more: Any) -> None:
        """Start it; all else is done by `Popen`, as for any process."""
        _, _, module, *arguments = args
        folder, environment = more[4:6]
        streams = to_read, _, _, to_write, _, for_errors = more[9:15]
        request = json.dumps(Request(module, arguments, str(folder), environment)).encode()
        try:
            socket.send_fds(_warm_process(), [request], [to_read, to_write, for_errors])
            self.pid = int(_warm_process().recv(LONGEST_REQUEST))
            self._child_created = True
        finally:
            self._close_pipe_fds(*streams)  # pyright: ignore[reportAttributeAccessIssue]


@cache
def _warm_process() -> socket.socket:
    """Start the warm process of these tests, which lasts as long as they do; talk to it."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.warm", str(its.fileno())],
        cwd=CHECKOUT,
        env=environment(**NO_THREADS),
        pass_fds=[its.fileno()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,  # commands inherit a stream that knows that it is no terminal
        start_new_session=True,
    )
    its.close()
    # The commands, whose parent ends at once, become children of this process.
    assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
    atexit.register(process.wait)
    atexit.register(ours.close)
    return ours


# The warm process.


def import_everything() -> dict[str, str]:
    """Import what commands import; return the variables that this sets."""
    before = set(os.environ)
    for name in LATE_IMPORTS:
        importlib.import_module(name)
    for module in pkgutil.walk_packages(pipeline.__path__, "pipeline."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    return {name: value for name, value in os.environ.items() if name not in before}


def serve(caller: socket.socket) -> Request:
    """Fork for every request; return it in the forked process, and never in this one."""
    while True:
        message, streams, _, _ = socket.recv_fds(caller, LONGEST_REQUEST, 3)
        if not message:
            os._exit(0)
        pid = fork_orphan()
        if pid is None:
            for number, stream in enumerate(streams):
                os.dup2(stream, number)
                os.close(stream)
            caller.close()
            return Request(*json.loads(message))
        for stream in streams:
            os.close(stream)
        caller.send(str(pid).encode())


def fork_orphan() -> int | None:
    """Fork a process whose parent is gone and return its id; return None in that process."""
    reading, writing = os.pipe()
    if parent := os.fork():
        os.close(writing)
        os.waitpid(parent, 0)
        with os.fdopen(reading) as told:
            return int(told.read())
    if os.fork():
        os._exit(0)
    os.setsid()
    os.write(writing, str(os.getpid()).encode())
    os.close(writing)
    os.close(reading)
    return None


def become(request: Request, set_by_imports: dict[str, str]) -> None:
    """Run a command as a new interpreter would."""
    os.chdir(request.folder)
    os.environ.clear()
    os.environ.update(set_by_imports | request.environment)
    sys.argv[1:] = request.arguments
    sys.path[0] = request.folder
    if not hasattr(sys.modules.get(request.module), "__path__"):
        sys.modules.pop(request.module, None)
    numpy.random.seed()
    code: str | int | None = 0
    try:
        runpy.run_module(request.module, run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        code = ended.code
    except Exception:
        sys.excepthook(*sys.exc_info())  # pyright: ignore[reportArgumentType]
        code = 1
    if isinstance(code, str):
        print(code, file=sys.stderr)
    leave(code if isinstance(code, int) else int(code is not None))


def main() -> None:
    """Serve one caller, who names the descriptor of a socket, until it is closed."""
    set_by_imports = import_everything()
    (_only_thread,) = Path("/proc/self/task").iterdir()
    gc.freeze()
    become(serve(socket.socket(fileno=int(sys.argv[1]))), set_by_imports)


if __name__ == "__main__":
    main()
