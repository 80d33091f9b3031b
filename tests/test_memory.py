"""What a process may use, by control groups of both versions; containers are in tests/cluster/."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests import command

GROUPS = {
    "version 2": "echo 536870912 > memory.max; echo 'oom 4 oom_kill 3' > memory.events",
    "version 1": "mkdir memory; echo 536870912 > memory/memory.limit_in_bytes;"
    " echo 'under_oom 0 oom_kill 3' > memory/memory.oom_control",
    "no limit": "echo max > memory.max; echo 'oom_kill 3' > memory.events",
}

ASK = "from pipeline import memory as it; print(it.limit_mb(), it.num_ended())"


def ask(groups: str, code: str = ASK) -> list[str]:
    """Ask a new process that sees these files as those of its control group."""
    mount = f"mount -t tmpfs none /sys/fs/cgroup; cd /sys/fs/cgroup; {groups}; cd /"
    apart = ("unshare", "--mount", "sh", "-ec", f'{mount}; exec "$@"', "sh")
    done = subprocess.run(
        [*apart, sys.executable, "-c", code],
        env=command.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("version", ["version 2", "version 1"])
def test_a_limit_is_known(version: str):
    assert ask(GROUPS[version]) == ["512.0", "3"]


def test_where_nothing_is_limited_all_may_be_used():
    assert ask(GROUPS["no limit"]) == ["None", "3"]
    assert ask("true") == ["None", "0"]


def test_a_process_that_counts_as_larger():
    code = (
        "from pipeline import memory; from pathlib import Path;"
        "adjust = Path('/proc/self/oom_score_adj'); before = int(adjust.read_text());"
        "memory.be_ended_first(); print(int(adjust.read_text()) - before)"
    )
    assert ask("true", code) == ["200"]
