"""`python -m tests.training.limited MB …`: the command, whose workers may take so much more memory.

The system refuses them more address space than they have when they are forked and so much on top.
"""

from __future__ import annotations

import os
import re
import resource
import runpy
import sys
from pathlib import Path


def limit(more_mb: int) -> None:
    """Let this process have so much more address space than now."""
    found = re.search(r"VmSize:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    num_bytes = int(found[1]) * 2**10 + more_mb * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (num_bytes, num_bytes))


if __name__ == "__main__":
    more_mb = int(sys.argv.pop(1))
    os.register_at_fork(after_in_child=lambda: limit(more_mb))
    runpy.run_module("pipeline", run_name="__main__", alter_sys=True)
