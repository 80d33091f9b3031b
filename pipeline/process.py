"""A command's process: it starts quickly, and ends in order when it is interrupted or asked to."""

from __future__ import annotations

import atexit
import ctypes
import gc
import mmap
import os
import signal
import sys
import threading
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager, suppress
from types import FrameType

__all__ = [
    "ask_to_stop",
    "end_with_parent",
    "exit_on_signals",
    "exits_held",
    "is_asked_to_stop",
    "leave",
    "quick_imports",
]

PR_SET_PDEATHSIG = 1

_stop = mmap.mmap(-1, 1)
"""Memory that processes share that are forked from this one."""


@contextmanager
def quick_imports() -> Generator[None]:
    """Import without collecting garbage: there is next to none, and looking costs over a second."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def exit_on_signals() -> None:
    """End in order on the first Ctrl-C or SIGTERM: runs are marked as killed on the way out."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _exit_once)


class _ExitOnce:
    """Ignores all signals but the first, also where a library puts old handlers back."""

    def __init__(self) -> None:
        self._leaving = False
        self._is_held = False
        self._held_back: int | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self._leaving:
            return
        if self._is_held:
            self._held_back = number
            return
        self._leaving = True
        sys.exit(128 + number)

    @contextmanager
    def held(self) -> Generator[None]:
        """Let a signal wait until the block is over."""
        self._is_held = True
        try:
            yield
        finally:
            self._is_held = False
        if self._held_back is not None:
            self(self._held_back, None)


_exit_once = _ExitOnce()


def exits_held() -> AbstractContextManager[None]:
    """Return what lets a signal to end wait until the block is over.

    While a process is forked, Python drops the exceptions that a signal raises, and the command
    would go on for ever.
    """
    return _exit_once.held()


def end_with_parent() -> None:
    """Let the system kill this process when the one that started it ends, however it does.

    Only Linux can.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def ask_to_stop() -> None:
    """Let training end at the end of its epoch, with a checkpoint, in forked processes too."""
    _stop[0] = 1


def is_asked_to_stop() -> bool:
    """Return whether training should end at the end of its epoch."""
    return _stop[0] == 1


def leave(code: int) -> None:
    """End the process, but spare the interpreter the 1.7 s of taking torch's modules apart."""
    # As the interpreter does at its end; there is no public way.
    threading._shutdown()  # noqa: SLF001  # pyright: ignore[reportAttributeAccessIssue]  (workers end)
    atexit._run_exitfuncs()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    with suppress(BrokenPipeError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)
