"""A command watched from inside: where its time goes, and what it asks the store.

Nothing of the command is changed for that. A timer looks a few hundred times a second at what the
main thread is doing, and the time goes to the innermost module that some part names.
"""

from __future__ import annotations

import atexit
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import Any

from benchmarks.memory import MemoryWatch

__all__ = ["OTHER", "Parts", "Sampler", "Watched", "watch"]

Parts = Mapping[str, Sequence[str]]
"""The modules of each part of the work, by dotted names; a package stands for all in it that no
longer name stands for. `importlib` is the time that imports take."""

OTHER = "other"
"""The part of all that belongs to no other one."""

INTERVAL_S = 0.002


class Sampler:
    """Adds up the seconds that the main thread spends in each part, from start to stop."""

    def __init__(self, parts: Parts) -> None:
        """Check that there are such modules.

        Raises:
            ModuleNotFoundError: one is gone, so its part would be missing from the sums.
        """
        self._part_of = {module: part for part, modules in parts.items() for module in modules}
        for module in self._part_of:
            if find_spec(module) is None:
                raise ModuleNotFoundError(f"{module}: there is no such module any more")
        self._known: dict[str, str | None] = {}
        self.seconds = dict.fromkeys((*parts, OTHER), 0.0)

    def start(self) -> None:
        """Look at what the main thread does, from now on."""
        self._last = time.perf_counter()
        signal.signal(signal.SIGALRM, self._sample)
        signal.siginterrupt(signal.SIGALRM, False)  # system calls go on after a look
        signal.setitimer(signal.ITIMER_REAL, INTERVAL_S, INTERVAL_S)

    def stop(self) -> None:
        """Look no more."""
        signal.setitimer(signal.ITIMER_REAL, 0)

    def share(self, part: str) -> float:
        """Return a part's share of all the time, from 0 to 1."""
        assert self.seconds[part] > 0, f"no time was seen in {part}"
        return self.seconds[part] / sum(self.seconds.values())

    def _sample(self, number: int, frame: FrameType | None) -> None:
        del number
        now = time.perf_counter()
        self.seconds[self._part_at(frame)] += now - self._last
        self._last = now

    def _part_at(self, frame: FrameType | None) -> str:
        while frame is not None:
            part = self._part(frame.f_globals.get("__name__", ""))
            if part is not None:
                return part
            frame = frame.f_back
        return OTHER

    def _part(self, module: str) -> str | None:
        """Return the part that a module belongs to by the longest name that stands for it."""
        if module not in self._known:
            name = module
            while name and name not in self._part_of:
                name = name.rpartition(".")[0]
            self._known[module] = self._part_of.get(name)
        return self._known[module]


@dataclass(frozen=True)
class Watched:
    """A command that has ended well."""

    seconds: float
    """From the start of its process to the end."""
    peak_gb: float
    """Of memory, and at least what the process that starts it has: that one should be small."""
    family_gb: float
    """Of memory, the command and all processes that it starts together."""
    cpu_s: float
    """Of all cores: a machine that has other things to do makes this no longer."""
    parts: Mapping[str, float]
    """Seconds of each part of the work, and of OTHER."""
    questions: Mapping[str, int]
    """Statements that databases were told, by first word; empty unless they were to be counted."""


def watch(
    module: str, *arguments: str, parts: Parts | None = None, count_questions: bool = False
) -> Watched:
    """Run `python -m MODULE ARGUMENT …` to its end.

    Args:
        module: the command's.
        arguments: the command's.
        parts: of the work, whose seconds to add up.
        count_questions: count what the store's database is told.
    """
    with tempfile.TemporaryDirectory() as folder:
        output, report = Path(folder, "output"), Path(folder, "report.json")
        task = json.dumps([str(report), parts or {}, count_questions])
        command = [sys.executable, "-m", "benchmarks.watch", task, module, *arguments]
        started = time.perf_counter()
        with output.open("w") as file:
            process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
            with MemoryWatch(process.pid) as memory:
                _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        words = " ".join([module, *arguments])
        if process.returncode != 0 or not report.exists():
            sys.exit(f"{words} ended with {process.returncode}:\n{output.read_text()}")
        found = json.loads(report.read_text())
    for part in parts or ():
        if not found["parts"][part]:
            sys.exit(f"{words}: no time was seen in {part}: what does that is elsewhere now")
    return Watched(
        seconds=seconds,
        peak_gb=usage.ru_maxrss / 2**20,
        family_gb=memory.peak_gb,
        cpu_s=usage.ru_utime + usage.ru_stime,
        parts=found["parts"],
        questions=found["questions"],
    )


def _run_watched() -> None:
    """Be the command: what `watch` starts."""
    task, module, *arguments = sys.argv[1:]
    report, parts, count_questions = json.loads(task)
    questions = _counted_questions() if count_questions else Counter[str]()
    sampler = Sampler(parts)

    def write_report() -> None:
        sampler.stop()
        assert questions or not count_questions, "the store was told nothing"
        found = {"parts": sampler.seconds, "questions": questions}
        Path(report).write_text(json.dumps(found))

    atexit.register(write_report)
    sys.argv[1:] = arguments
    if parts:
        sampler.start()
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _counted_questions() -> Counter[str]:
    """Return the statements that databases are told from now on, counted by their first word."""
    from sqlalchemy import Engine
    from sqlalchemy.event import listen

    told = Counter[str]()

    def count(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        told[statement.split(maxsplit=1)[0]] += 1

    listen(Engine, "before_cursor_execute", count)
    return told


if __name__ == "__main__":
    _run_watched()
