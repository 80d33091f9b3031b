"""Processes of one thread each, which fill the cores with groups and share them with other people.

Many threads in one product wait for each other: OpenMP's spin, and two programs that both do so
take turns at wasting the cores. A process of one thread waits for nobody. Workers are forked, so
that they have this process's modules and data at once; those that have a GPU each start afresh,
since CUDA doesn't survive a fork. All end when this process ends, however it does.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import traceback
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import cache, partial
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Any, Generic, TypeVar

import joblib  # pyright: ignore[reportMissingTypeStubs]  # has none
import torch

from pipeline import memory
from pipeline.errors import UserError
from pipeline.process import ask_to_stop, end_with_parent, exits_held, is_asked_to_stop
from pipeline.training.memory import MemoryRanOutError

__all__ = ["Asking", "Ended", "Workers", "num_cores"]

ON_LINUX = sys.platform == "linux"
"""Elsewhere system libraries don't survive a fork, and no process ends with its parent."""

VISIBLE = "CUDA_VISIBLE_DEVICES"

Task = TypeVar("Task")
Event = TypeVar("Event")


@cache
def num_cores() -> int:
    """Return how many cores this process may keep busy.

    That is what its affinity mask, its container's limit (cgroup v1 and v2) and torch's own number
    of threads allow, which follows OMP_NUM_THREADS.
    """
    return max(1, min(joblib.cpu_count(), torch.get_num_threads()))


@dataclass(frozen=True)
class Ended:
    """A task is over."""

    error: Exception | None
    """What ended it early."""


class Asking:
    """An event whose sender waits for what its handler returns."""


class Workers(Generic[Task, Event]):
    """Does tasks, several at a time."""

    def __init__(
        self,
        number: int,
        work: Callable[[Task, Callable[[Event], Any]], None],
        gpus: Sequence[str] = (),
    ) -> None:
        """Say how many; they start when there is a task, with all that was loaded for it.

        Args:
            number: of processes; 0 if the tasks are done in this one.
            work: does a task, and says what happens on the way by calling its second argument.
            gpus: the one that each process sees, by their names in CUDA_VISIBLE_DEVICES; none if
                they train on the CPU.
        """
        self._work = work
        self._number = number if ON_LINUX else 0
        self._free_gpus = list(gpus)
        self._workers: list[_Worker[Task, Event]] = []
        self._idle: list[_Worker[Task, Event]] = []

    def do(
        self,
        ask: Callable[[], tuple[int, Task] | None],
        handle: Callable[[int, Event | Ended], object],
    ) -> None:
        """Do all tasks; each is asked for when there is a worker for it.

        Args:
            ask: returns the next task with its number, None if there is none for now; the end of
                another one may bring more.
            handle: gets a task's number and what happens: its events in order, then its end. What
                it returns for one that asks goes back to the task.
        """
        if self._number:
            self._do_there(ask, handle)
        else:
            self._do_here(ask, handle)

    def _do_here(
        self,
        ask: Callable[[], tuple[int, Task] | None],
        handle: Callable[[int, Event | Ended], object],
    ) -> None:
        while (following := ask()) is not None:
            number, task = following
            error: Exception | None = None
            try:
                self._work(task, partial(handle, number))
            except Exception as found:
                error = found
            handle(number, Ended(error))

    def _do_there(
        self,
        ask: Callable[[], tuple[int, Task] | None],
        handle: Callable[[int, Event | Ended], object],
    ) -> None:
        busy: dict[int, _Worker[Task, Event]] = {}
        while True:
            while len(busy) < self._number and (following := ask()) is not None:
                number, task = following
                busy[number] = self._idle.pop() if self._idle else self._start_worker()
                busy[number].start(task)
            if not busy:
                return
            ready = wait([worker.connection for worker in busy.values()])
            if is_asked_to_stop():
                for worker in busy.values():
                    worker.ask_to_stop()
            for number, worker in list(busy.items()):
                if worker.connection in ready:
                    event = worker.receive()
                    if isinstance(event, Ended):
                        del busy[number]
                        self._release(worker)
                    answer = handle(number, event)
                    if isinstance(event, Asking):
                        worker.answer(answer)

    def _start_worker(self) -> _Worker[Task, Event]:
        gpu = self._free_gpus.pop(0) if self._free_gpus else None
        with exits_held():  # so that a worker that is started is always known, and ended
            self._workers.append(_Worker(self._work, gpu))
        return self._workers[-1]

    def _release(self, worker: _Worker[Task, Event]) -> None:
        """Let a worker that has done its task, or its GPU if it is gone, have another one."""
        if worker.is_alive:
            self._idle.append(worker)
        elif worker.gpu is not None:
            self._free_gpus.append(worker.gpu)

    def close(self) -> None:
        """End the processes, also in the middle of a task."""
        for worker in self._workers:
            worker.end()


class _Worker(Generic[Task, Event]):
    """One process and the connection to it."""

    def __init__(
        self, work: Callable[[Task, Callable[[Event], Any]], None], gpu: str | None
    ) -> None:
        context = get_context("fork") if gpu is None else get_context("spawn")
        self.gpu = gpu
        self.connection, its_end = context.Pipe()
        self.is_alive = True
        self._num_ended = memory.num_ended()
        self._process: BaseProcess = context.Process(
            target=_serve,
            args=(its_end, work, os.getpid(), None if gpu is None else _stop),
            daemon=True,
        )
        with nullcontext() if gpu is None else _inherited(gpu):
            self._process.start()
        its_end.close()

    def start(self, task: Task) -> None:
        """Begin a task. It travels as plain bytes: torch would share its tensors' memory."""
        with suppress(OSError):  # if the process is gone, that is what happens next
            self.connection.send_bytes(pickle.dumps(task))

    def receive(self) -> Event | Ended:
        """Return what happens next; the end, if the process is gone."""
        try:
            return pickle.loads(self.connection.recv_bytes())  # noqa: S301  (our own process)
        except (EOFError, OSError):
            self.is_alive = False
            self._process.join()
            what = self._how_it_ended()
            if self._process.exitcode == -signal.SIGKILL:
                return Ended(MemoryRanOutError(what))
            return Ended(UserError(f"{what}."))

    def _how_it_ended(self) -> str:
        """Return what is known of the end of a process that didn't say so itself."""
        limit = memory.limit_mb()
        if limit is not None and memory.num_ended() > self._num_ended:
            return f"memory ran out: this container or job may use {limit:.0f} MB"
        code = self._process.exitcode or 0
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        what = f"the process that trained this was ended from outside ({how})"
        return f"{what}, as it is when memory runs out" if -code == signal.SIGKILL else what

    def ask_to_stop(self) -> None:
        """Let the process know that this one is asked to; a forked one knows."""
        if self.gpu is not None:
            self._process.terminate()

    def answer(self, answer: object) -> None:
        """Say what the task has asked for."""
        with suppress(OSError):  # the process is gone, as is seen when it should say more
            self.connection.send_bytes(pickle.dumps(answer))

    def end(self) -> None:
        """End the process at once."""
        self.connection.close()
        self._process.kill()
        self._process.join()


@contextmanager
def _inherited(gpu: str) -> Generator[None]:
    """Let a process that starts in this block see one GPU, and no signal before it can take it."""
    before = os.environ.get(VISIBLE)
    os.environ[VISIBLE] = gpu
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if before is None:
            del os.environ[VISIBLE]
        else:
            os.environ[VISIBLE] = before


def _stop(number: int, frame: FrameType | None) -> None:
    del number, frame
    ask_to_stop()


def _serve(
    connection: Connection,
    work: Callable[..., None],
    parent: int,
    at_sigterm: Callable[[int, FrameType | None], None] | None,
) -> None:
    """Be a worker: do tasks until the process that asks for them is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it decides what an interruption ends
    signal.signal(signal.SIGTERM, at_sigterm or signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    end_with_parent()
    if os.getppid() != parent:
        os._exit(1)
    memory.be_ended_first()
    torch.set_num_threads(1)

    def send(event: Any) -> Any:
        connection.send_bytes(pickle.dumps(event))
        return pickle.loads(connection.recv_bytes()) if isinstance(event, Asking) else None  # noqa: S301

    try:
        while True:
            task = pickle.loads(connection.recv_bytes())  # noqa: S301  (our own process)
            send(Ended(_error(work, task, send)))
    except (EOFError, OSError):
        os._exit(0)


def _error(work: Callable[..., None], task: object, send: Callable[[Any], Any]) -> Exception | None:
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
