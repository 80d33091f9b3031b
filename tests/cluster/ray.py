"""A real Ray cluster of two nodes on this machine, in a private namespace."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.namespace import Namespace, need, private_namespace

PORT = 6379
ADDRESS = f"127.0.0.1:{PORT}"


@dataclass(frozen=True)
class Ray:
    """A cluster that runs."""

    space: Namespace

    def lose_second_node(self) -> None:
        """Kill the second node's daemon, as a power cut does."""
        found = subprocess.run(
            ["pgrep", "-f", f"raylet/raylet .*--gcs-address={ADDRESS}"],
            capture_output=True,
            text=True,
            check=True,
        )
        *_, last = found.stdout.split()
        os.kill(int(last), signal.SIGKILL)


@contextmanager
def ray_cluster() -> Generator[Ray]:
    """Run a cluster while the block lasts; skips the test where it can't."""
    need({"ip": "iproute2"})
    with private_namespace() as space:
        space.variables.update(RAY_USAGE_STATS_ENABLED="0", HOME=str(space.folder))
        program = str(Path(sys.executable).with_name("ray"))
        common = ("--node-ip-address=127.0.0.1", "--num-cpus=1", "--object-store-memory=100000000")
        start = (program, "start", *common, "--disable-usage-stats")
        head = ("--head", f"--port={PORT}", "--include-dashboard=false")
        space.call(*start, *head, f"--temp-dir={space.folder}/ray")
        space.call(*start, f"--address={ADDRESS}")
        yield Ray(space)
