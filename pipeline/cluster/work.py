"""`python -m pipeline.cluster.work`: does what it reads, in a process that nothing else is done in.

A job that is ended by SIGTERM, or by the end of the process that started it, is interrupted where
it can go on.
"""

from __future__ import annotations

import logging
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

from pipeline.cluster.engine import Work
from pipeline.process import ask_to_stop, end_with_parent
from pipeline.tracking.locks import JOB_VARIABLE

__all__ = ["do", "say_all", "stop_at"]

STOP_WITHIN_S = 30.0
"""For an interrupted process to end an epoch and leave a checkpoint; the sweep waits longer."""

LOOK_EVERY_S = 0.1


def say_all() -> None:
    """Let what training says come to standard output, which is the job's log."""
    logging.basicConfig(format="%(asctime)s  %(message)s", datefmt="%H:%M:%S", stream=sys.stdout)
    logging.getLogger("pipeline").setLevel(logging.INFO)
    logging.getLogger("submitit").propagate = False  # it has said so itself


def stop_at(signal_number: int, caught: list[int]) -> None:
    """Let a signal stop training where it can go on, and note that it came."""

    def stop(number: int, frame: FrameType | None) -> None:
        del frame
        caught.append(number)
        ask_to_stop()

    signal.signal(signal_number, stop)


def do(work: Work, job: str, log: Path) -> None:
    """Do it in a process of its own, which is told to stop if this one is interrupted.

    Args:
        work: what to do.
        job: the name of the job that does it.
        log: the file for all that it says.

    Raises:
        RuntimeError: it failed.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "pipeline.cluster.work"],
            env={**os.environ, JOB_VARIABLE: job},
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
        )
        assert process.stdin is not None
        try:
            process.stdin.write(pickle.dumps(work))
            process.stdin.close()
            while process.poll() is None:
                time.sleep(LOOK_EVERY_S)  # Ray can't interrupt a wait without an end
        except BaseException:
            process.terminate()
            process.wait(STOP_WITHIN_S)
            raise
    if process.returncode:
        raise RuntimeError(f"its process ended with code {process.returncode}")


def main() -> None:
    """Do what comes in; it is ours, from the process that started this one."""
    end_with_parent()
    say_all()
    stop_at(signal.SIGTERM, [])
    work: Work = pickle.load(sys.stdin.buffer)  # noqa: S301
    work()


if __name__ == "__main__":
    main()
