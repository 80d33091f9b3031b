"""Processes of one thread each, which fill the cores with groups and share them with other people.

Many threads in one product wait for each other: OpenMP's spin, and two programs that both do so
take turns at wasting the cores. A process of one thread waits for nobody. Workers are forked, so
that they have this process's modules and data at once, and end when it ends, however it does.
"""

from __future__ import annotations

import ctypes
import os
import pickle
import signal
import sys
import traceback
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

import joblib  # pyright: ignore[reportMissingTypeStubs]  # has none
import torch

from pipeline import memory
from pipeline.errors import UserError
from pipeline.process import exits_held

__all__ = ["Ended", "Workers", "num_cores", "num_threads"]

CAN_FORK = sys.platform == "linux"
"""Elsewhere system libraries don't survive it."""

PR_SET_PDEATHSIG = 1

Task = TypeVar("Task")
Event = TypeVar("Event")


@cache
def num_cores() -> int:
    """Return how many cores this process may keep busy.

    That is what its affinity mask, its container's limit (cgroup v1 and v2) and torch's own number
    of threads allow, which follows OMP_NUM_THREADS.
    """
    return max(1, min(joblib.cpu_count(), torch.get_num_threads()))


@contextmanager
def num_threads(number: int) -> Generator[None]:
    """Let torch compute with so many threads in this block."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@dataclass(frozen=True)
class Ended:
    """A task is over."""

    error: Exception | None
    """What ended it early."""


class Workers(Generic[Task, Event]):
    """Does tasks, several at a time."""

    def __init__(self, number: int, work: Callable[[Task, Callable[[Event], None]], None]) -> None:
        """Say how many; they start when there is a task, with all that was loaded for it.

        Args:
            number: of processes; 0 if the tasks are done in this one.
            work: does a task, and says what happens on the way by calling its second argument.
        """
        self._work = work
        self._number = number if CAN_FORK else 0
        self._workers: list[_Worker[Task, Event]] = []
        self._idle: list[_Worker[Task, Event]] = []

    def do(
        self,
        tasks: Iterator[tuple[int, Task]],
        handle: Callable[[int, Event | Ended], None],
    ) -> None:
        """Do all tasks; each is asked for when there is a worker for it.

        Args:
            tasks: with the number of each.
            handle: gets a task's number and what happens: its events in order, then its end.
        """
        if self._number:
            self._do_there(tasks, handle)
        else:
            self._do_here(tasks, handle)

    def _do_here(
        self, tasks: Iterator[tuple[int, Task]], handle: Callable[[int, Event | Ended], None]
    ) -> None:
        for number, task in tasks:
            error: Exception | None = None
            try:
                self._work(task, partial(handle, number))
            except Exception as found:
                error = found
            handle(number, Ended(error))

    def _do_there(
        self, tasks: Iterator[tuple[int, Task]], handle: Callable[[int, Event | Ended], None]
    ) -> None:
        busy: dict[int, _Worker[Task, Event]] = {}
        while True:
            while len(busy) < self._number and (following := next(tasks, None)) is not None:
                number, task = following
                busy[number] = self._idle.pop() if self._idle else self._start_worker()
                busy[number].start(task)
            if not busy:
                return
            ready = wait([worker.connection for worker in busy.values()])
            for number, worker in list(busy.items()):
                if worker.connection in ready:
                    event = worker.receive()
                    if isinstance(event, Ended):
                        del busy[number]
                        self._idle += [worker] if worker.is_alive else []
                    handle(number, event)

    def _start_worker(self) -> _Worker[Task, Event]:
        with exits_held():  # so that a worker that is started is always known, and ended
            self._workers.append(_Worker(self._work))
        return self._workers[-1]

    def close(self) -> None:
        """End the processes, also in the middle of a task."""
        for worker in self._workers:
            worker.end()


class _Worker(Generic[Task, Event]):
    """One process and the connection to it."""

    def __init__(self, work: Callable[[Task, Callable[[Event], None]], None]) -> None:
        context = get_context("fork")
        self.connection, its_end = context.Pipe()
        self.is_alive = True
        self._num_ended = memory.num_ended()
        self._process: BaseProcess = context.Process(
            target=_serve, args=(its_end, work, os.getpid()), daemon=True
        )
        self._process.start()
        its_end.close()

    def start(self, task: Task) -> None:
        """Begin a task. It travels as plain bytes: torch would share its tensors' memory."""
        self.connection.send_bytes(pickle.dumps(task))

    def receive(self) -> Event | Ended:
        """Return what happens next; the end, if the process is gone."""
        try:
            return pickle.loads(self.connection.recv_bytes())  # noqa: S301  (our own process)
        except (EOFError, OSError):
            self.is_alive = False
            self._process.join()
            return Ended(UserError(self._how_it_ended()))

    def _how_it_ended(self) -> str:
        """Return what is known of the end of a process that didn't say so itself."""
        remedy = (
            "smaller groups need less of it (hydra.launcher.max_memory_mb=500), or fewer of them "
            "side by side (hydra.launcher.num_workers=1)."
        )
        limit = memory.limit_mb()
        if limit is not None and memory.num_ended() > self._num_ended:
            return (
                f"memory ran out: this container or job may use {limit:.0f} MB. Give it more; or "
                f"{remedy}"
            )
        code = self._process.exitcode or 0
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return (
            f"the process that trained this was ended from outside ({how}). If memory ran out, "
            f"{remedy}"
        )

    def end(self) -> None:
        """End the process at once."""
        self.connection.close()
        self._process.kill()
        self._process.join()


def _serve(connection: Connection, work: Callable[..., None], parent: int) -> None:
    """Be a worker: do tasks until the process that asks for them is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it decides what an interruption ends
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
    memory.be_ended_first()
    torch.set_num_threads(1)

    def send(event: Any) -> None:
        connection.send_bytes(pickle.dumps(event))

    try:
        while True:
            task = pickle.loads(connection.recv_bytes())  # noqa: S301  (our own process)
            send(Ended(_error(work, task, send)))
    except (EOFError, OSError):
        os._exit(0)


def _error(
    work: Callable[..., None], task: object, send: Callable[[Any], None]
) -> Exception | None:
    """Do a task; return the error that ended it, with where that came from."""
    try:
        work(task, send)
    except Exception as error:
        error.add_note(traceback.format_exc())
        try:
            pickle.loads(pickle.dumps(error))  # noqa: S301
        except Exception:
            return RuntimeError(traceback.format_exc())
        return error
    return None
