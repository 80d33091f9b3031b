"""`python -m tests.faults.killed "event|file|time" …`: the command, killed at that moment."""

from __future__ import annotations

import os
import re
import runpy
import signal
import sys


def kill_at(event: str, file: str, time: int) -> None:
    """Kill this process just before it does something with a file for the so-many-th time."""
    left = time

    def see(seen: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        if seen == event and any(re.search(file, str(argument)) for argument in arguments):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(see)


if __name__ == "__main__":
    event, file, time = sys.argv.pop(1).split("|")
    kill_at(event, file, int(time))
    runpy.run_module("pipeline", run_name="__main__", alter_sys=True)
