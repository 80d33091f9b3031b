"""Ends the command with SIGKILL: after some seconds, or at one exact moment of its work."""

from __future__ import annotations

import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests import command

LIMIT_S = 300


@dataclass(frozen=True)
class Moment:
    """Just before the command does something for the so-many-th time.

    `event` is one of Python's audit events or "sql", `what` a regular expression that the event's
    file, or the statement, matches.
    """

    event: str
    what: str
    time: int = 1


GRID_IS_WRITTEN = Moment("open", r"mlruns/sweeps/\w+")
FILES_ARE_WRITTEN = Moment("open", r"mlruns/mnist/.*confusion", 2)
RECORDS_ARE_COMPLETE = Moment("os.rename", r"spool/\w+\.json\.tmp")
ROWS_ARE_MADE = Moment("sql", r"INSERT INTO params")
ROWS_ARE_ENDED = Moment("sql", r"UPDATE runs SET status=.*end_time")
RECORDS_ARE_REMOVED = Moment("os.remove", r"spool/\w+\.json$")
TABLE_IS_WRITTEN = Moment("open", r"results\.csv")


def kill_at(moment: Moment, root: Path, *arguments: str) -> command.Done:
    """Run the command on digits, everything below `root`, until a moment comes."""
    done = command.run(
        root,
        f"{moment.event}|{moment.what}|{moment.time}",
        *("data=digits", "trainer=cpu", f"root={root}"),
        *arguments,
        module="tests.faults.killed",
    )
    assert done.code == -signal.SIGKILL, f"{moment} never came: {done.stdout}{done.stderr}"
    return done


def kill_after(seconds: float, root: Path, *arguments: str) -> bool:
    """Run the command on digits for some seconds; return whether that was too short for it."""
    typed = ("data=digits", "trainer=cpu", f"root={root}", *arguments)
    with command.started(root, *typed, limit_s=LIMIT_S) as process:
        try:
            process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            command.end_group(process)
            process.communicate()
        return process.returncode == -signal.SIGKILL
