"""A real MLflow server that can be killed and started again."""

from __future__ import annotations

import http.client
import socket
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from subprocess import Popen
from types import TracebackType

from mlflow import MlflowClient

from tests import command

START_WITHIN_S = 180


def status_of(url: str) -> int | None:
    """The HTTP status of a page, None if nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status
    except (OSError, http.client.HTTPException):
        return None


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A server whose port and store outlive its processes."""

    def __init__(self, folder: Path, store: str | None = None) -> None:
        self.folder = folder
        self.store = store or f"sqlite:///{folder / 'server.db'}"
        self.port = free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self._running = ExitStack()

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self.kill()

    def start(self) -> Popen[str]:
        """Start it and wait until it answers."""
        process = self._running.enter_context(
            command.started(
                self.folder,
                *("server", "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"),
                *("--backend-store-uri", self.store),
                *("--artifacts-destination", str(self.folder / "artifacts")),
                module="mlflow",
                limit_s=600,
                quiet=True,
                MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false",
                MLFLOW_SQLALCHEMYSTORE_POOL_SIZE="50",  # docs/reliability.md says why
            )
        )
        command.wait_until(
            lambda: status_of(f"{self.uri}/health") == 200, "the server's start", START_WITHIN_S
        )
        return process

    def kill(self) -> None:
        """End all its processes at once, as a power cut would."""
        self._running.close()

    @property
    def client(self) -> MlflowClient:
        """A connection to it."""
        return MlflowClient(self.uri)
