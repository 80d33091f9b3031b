"""`python -m tests.faults.killed "event|what|time" …`: the command, killed at that moment."""

from __future__ import annotations

import os
import re
import runpy
import signal
import sys
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.event import listen


def kill_at(event: str, what: str, time: int) -> None:
    """Kill this process just before it does something for the so-many-th time."""
    left = time

    def see(seen: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        if seen == event and any(re.search(what, str(argument)) for argument in arguments):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(see)

    def see_sql(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        see("sql", (statement,))

    listen(Engine, "before_cursor_execute", see_sql)


if __name__ == "__main__":
    event, what, time = sys.argv.pop(1).split("|")
    kill_at(event, what, int(time))
    runpy.run_module("pipeline", run_name="__main__", alter_sys=True)
