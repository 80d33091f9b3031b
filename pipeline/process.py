"""A command's process: it starts quickly, and ends in order when it is interrupted."""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from types import FrameType

__all__ = ["exit_on_signals", "leave", "quick_imports"]


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
    handler = _ExitOnce()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handler)


class _ExitOnce:
    """Ignores all signals but the first, also where a library puts old handlers back."""

    def __init__(self) -> None:
        self._leaving = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        del frame
        if not self._leaving:
            self._leaving = True
            sys.exit(128 + number)


def leave(code: int) -> None:
    """End the process, but spare the interpreter the 1.7 s of taking torch's modules apart."""
    # As the interpreter does at its end; there is no public way.
    threading._shutdown()  # noqa: SLF001  # pyright: ignore[reportAttributeAccessIssue]  (workers end)
    atexit._run_exitfuncs()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    with suppress(BrokenPipeError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)
