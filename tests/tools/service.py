"""A registered model, served by MLflow itself."""

from __future__ import annotations

import json
import os
import shlex
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests import command
from tests.command import Done
from tests.mlflow_server import free_port, status_of

__all__ = ["Answer", "Service", "curl_of", "serving"]


@dataclass(frozen=True)
class Answer:
    status: int
    body: Any

    @property
    def reason(self) -> str:
        return str(self.body["message"])


@dataclass(frozen=True)
class Service:
    uri: str

    def ask(self, body: bytes) -> Answer:
        request = urllib.request.Request(
            f"{self.uri}/invocations", body, {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return Answer(answer.status, json.loads(answer.read()))
        except urllib.error.HTTPError as error:
            return Answer(error.code, json.loads(error.read()))

    def predict(self, images: Any) -> Answer:
        return self.ask(json.dumps({"inputs": images}).encode())

    def predict_records(self, *records: dict[str, Any]) -> Answer:
        return self.ask(json.dumps({"dataframe_records": records}).encode())


@contextmanager
def serving(root: Path, name: str) -> Generator[Service]:
    """Serve the champion of a registered model until this ends."""
    port = free_port()
    with command.started(
        root,
        *("models", "serve", "-m", f"models:/{name}@champion", "--env-manager", "local"),
        *("--port", str(port)),
        module="mlflow",
        limit_s=300,
        quiet=True,
        MLFLOW_TRACKING_URI=f"sqlite:///{root / 'mlflow.db'}",
        MLFLOW_ALLOW_PICKLE_DESERIALIZATION="false",
        PATH=f"{command.CHECKOUT / '.venv' / 'bin'}:{os.environ['PATH']}",
    ):
        uri = f"http://127.0.0.1:{port}"
        command.wait_until(lambda: status_of(f"{uri}/ping") == 200, "the model's server", 120)
        yield Service(uri)


def curl_of(promoted: Done) -> bytes:
    """Return the body of the request that promoting prints, as a shell reads it."""
    (line,) = (line for line in promoted.stdout.splitlines() if line.startswith("  curl "))
    _, address, *options = shlex.split(line)
    assert address == "http://127.0.0.1:5001/invocations"
    assert options[:3] == ["--header", "Content-Type: application/json", "--data"]
    return options[3].encode()
