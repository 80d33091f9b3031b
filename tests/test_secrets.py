"""Passwords in the addresses of stores."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from pipeline.secrets import DATABASE_PASSWORD, password_to_environment, without_password
from tests import command

if TYPE_CHECKING:
    from pathlib import Path

DATABASE = "tracking.uri=postgresql+psycopg://me:hunter2@127.0.0.1:1/runs"


@pytest.mark.parametrize("quote", ["", "'", '"'])
def test_a_databases_password_is_taken_out_of_what_was_typed(
    monkeypatch: pytest.MonkeyPatch, quote: str
):
    monkeypatch.delenv(DATABASE_PASSWORD, raising=False)
    address = DATABASE.partition("=")[2]
    typed = password_to_environment(f"tracking.uri={quote}{address}{quote}")
    reference = f"${{oc.env:{DATABASE_PASSWORD}}}"
    assert typed == f"tracking.uri='{address.replace('hunter2', reference)}'"
    assert os.environ[DATABASE_PASSWORD] == "hunter2"


@pytest.mark.parametrize("typed", ["seed=3", "tracking.uri=null", "tracking.uri=http://a:80/b@c"])
def test_everything_else_stays_as_it_was_typed(typed: str):
    assert password_to_environment(typed) == typed


@pytest.mark.parametrize("sweep", [(), ("-m", "seed=0,1", "resume=last")])
def test_a_databases_password_is_written_nowhere(tmp_path: Path, sweep: tuple[str, ...]):
    done = command.train(tmp_path, *sweep, "tracking=server", DATABASE)
    assert done.code == 1
    assert "postgresql+psycopg://127.0.0.1:1/runs" in done.stderr
    assert "hunter2" not in done.stdout + done.stderr
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or b"hunter2" not in path.read_bytes(), path


def test_the_address_that_is_used_has_the_password(tmp_path: Path):
    done = command.train(tmp_path, "tracking=server", DATABASE, "--cfg", "job", "--resolve")
    assert "postgresql+psycopg://me:hunter2@127.0.0.1:1/runs" in done.stdout
    assert without_password(DATABASE) == "tracking.uri=postgresql+psycopg://127.0.0.1:1/runs"
