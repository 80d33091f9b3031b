"""A PostgreSQL server of our own, where Debian's package and psycopg are installed."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.mlflow_server import free_port

USER = "postgres"
"""As whom it runs, since it refuses to run as root."""


def programs() -> Path:
    """The folder of PostgreSQL's programs; skips the test if there is none, or no driver."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    if not found or find_spec("psycopg") is None:
        pytest.skip("PostgreSQL or psycopg is not installed")
    return found[-1].parent


@contextmanager
def running_server() -> Generator[str]:
    """Run a server while the block lasts; yield its address, to which a database's name is added.

    Nothing of it comes to the disk for sure: it is quick, and nobody needs it afterwards.
    """
    folder = Path(tempfile.mkdtemp(prefix="postgresql"))
    port, bin_folder = free_port(), programs()
    if os.getuid() == 0:
        shutil.chown(folder, USER)

    def call(program: str, *arguments: str) -> None:
        subprocess.run(
            [bin_folder / program, *arguments],
            user=pwd.getpwnam(USER).pw_uid if os.getuid() == 0 else None,
            cwd=folder,
            stdout=subprocess.DEVNULL,
            check=True,
        )

    data = f"{folder}/data"
    options = f"-c listen_addresses=127.0.0.1 -p {port} -c unix_socket_directories={folder}"
    call("initdb", "-D", data, "-U", "mlflow", "--auth=trust", "--encoding=UTF8", "--no-sync")
    call("pg_ctl", "-D", data, "-w", "-l", f"{data}/log", "-o", f"{options} -c fsync=off", "start")
    try:
        yield f"postgresql+psycopg://mlflow@127.0.0.1:{port}"
    finally:
        call("pg_ctl", "-D", data, "-m", "immediate", "stop")
        shutil.rmtree(folder)


def make_database(server: str, name: str) -> str:
    """Make an empty database and return its address."""
    import psycopg
    from psycopg.sql import SQL, Identifier

    first = f"{server}/postgres".replace("+psycopg", "")
    with psycopg.connect(first, autocommit=True) as connection:
        connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
    return f"{server}/{name}"
