"""`python -m pipeline.ui`: MLflow's own pages over the runs, on 127.0.0.1, with two processes."""

from __future__ import annotations

import argparse
import os
import socket
import sys
from pathlib import Path

from pipeline.config.options import project_root
from pipeline.tracking import paths

__all__ = ["main"]


def main() -> None:
    """Serve MLflow's pages until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.ui", description=__doc__)
    parser.add_argument("--root", type=Path, default=project_root(), help="where mlflow.db lies")
    parser.add_argument("--port", type=int, default=5000, help="default: 5000")
    arguments = parser.parse_args()
    database = paths.database(arguments.root.expanduser().absolute())
    if not database.is_file():
        sys.exit(
            f"error: --root={arguments.root}: there is no mlflow.db, so nothing was tracked there "
            "yet. Run `python -m pipeline` first."
        )
    _check_port(arguments.port)
    print(f"http://127.0.0.1:{arguments.port} in a few seconds; Ctrl-C ends it", flush=True)
    # Without its job workers MLflow needs 2 processes instead of 10.
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    command = [sys.executable, "-m", "mlflow", "ui", "--host", "127.0.0.1", "--workers", "1"]
    command += ["--port", str(arguments.port), "--backend-store-uri", f"sqlite:///{database}"]
    os.execve(sys.executable, command, environment)  # noqa: S606  (this process becomes MLflow)


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as error:
            sys.exit(f"error: --port={port}: can't be used ({error}). Try --port={port + 1}.")


if __name__ == "__main__":
    main()
