"""A private network and process space: nothing of a cluster listens outside, or outlives a test."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

NODES = ("n1", "n2")
"""Names under which this machine knows itself, so that it can be several nodes."""

ENTER = """
ip link set lo up && ip addr add 198.51.100.1/32 dev lo
mount --bind {hosts} /etc/hosts
echo ready
exec sleep infinity
"""


@dataclass(frozen=True)
class Namespace:
    """A private space that processes can be started in."""

    holder: int
    """The process that keeps it; all in it end with that."""
    folder: Path
    """For what runs in it."""
    variables: dict[str, str] = field(default_factory=dict[str, str])
    """Environment variables of what runs in it."""
    started: list[subprocess.Popen[bytes]] = field(default_factory=list[subprocess.Popen[bytes]])

    @property
    def enter(self) -> list[str]:
        """Return the words that let a command run in it, with its variables."""
        said = [f"{name}={value}" for name, value in self.variables.items()]
        return ["nsenter", f"--target={self.holder}", "--net", "--pid", "--mount", "env", *said]

    def call(self, *words: str) -> str:
        """Run a command in it to its end, and return what it says."""
        done = subprocess.run(
            [*self.enter, *words],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def start(self, *words: str, log: Path) -> None:
        """Start a command in it; it ends with the namespace, if not before."""
        with log.open("ab") as output:
            process = subprocess.Popen(
                [*self.enter, *words],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.started.append(process)


def need(packages: Mapping[str, str]) -> None:
    """Skip the test, and say why, where root or one of Debian's packages is missing.

    Args:
        packages: by the program that each brings.
    """
    if os.getuid() != 0:
        pytest.skip("private namespaces need root")
    missing = [package for program, package in packages.items() if not _find(program)]
    if missing:
        pytest.skip(f"not installed: {' '.join(missing)} (apt-get install)")


def _find(program: str) -> str | None:
    return shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")


@contextmanager
def private_namespace() -> Generator[Namespace]:
    """Make a namespace that lasts as long as the block."""
    folder = Path(tempfile.mkdtemp(prefix="cluster"))
    folder.chmod(0o755)
    hosts = folder / "hosts"
    names = " ".join([socket.gethostname(), *NODES])
    hosts.write_text(f"127.0.0.1 localhost {names}\n::1 localhost\n")
    words = ["setpriv", "--pdeathsig=KILL", "unshare", "--net", "--pid", "--mount"]
    words += ["--fork", "--kill-child", "--mount-proc"]
    script = ENTER.format(hosts=hosts)
    with subprocess.Popen(
        [*words, "bash", "-c", script], stdout=subprocess.PIPE, text=True
    ) as keeper:
        try:
            assert keeper.stdout is not None
            assert keeper.stdout.readline() == "ready\n"
            children = Path(f"/proc/{keeper.pid}/task/{keeper.pid}/children")
            (holder,) = children.read_text().split()
            space = Namespace(int(holder), folder)
            yield space
        finally:
            keeper.kill()
    for process in space.started:
        process.wait(timeout=30)
    shutil.rmtree(folder, ignore_errors=True)
