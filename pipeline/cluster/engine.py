"""What every engine can do, whatever it is: take jobs, say how they are, cancel them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from importlib.util import find_spec
from typing import Protocol

from pipeline.errors import UserError

__all__ = ["Engine", "EngineAwayError", "Phase", "State", "Work", "need_package"]

Work = Callable[[], None]
"""What a job does. It can be pickled, and done again from the start at any time."""


class EngineAwayError(RuntimeError):
    """The engine doesn't answer, for the reason that is said."""


class Phase(Enum):
    """How far a job is."""

    QUEUED = "queued"
    RUNNING = "running"
    OVER = "over"


@dataclass(frozen=True)
class State:
    """How a job is."""

    phase: Phase
    detail: str = ""
    """Where it runs, what it waits for, or how it ended."""
    is_hopeless: bool = False
    """It waits for what will not come."""


class Engine(Protocol):
    """A cluster, or whatever else runs jobs."""

    name: str
    """As in hydra/launcher=…"""

    def check(self) -> None:
        """Ask whether such jobs would be taken.

        Raises:
            UserError: they wouldn't, with the reason.
        """
        ...

    def num_slots(self) -> int:
        """Return how many jobs run at the same time."""
        ...

    def submit(self, pieces: Sequence[Work]) -> list[str]:
        """Hand jobs in, and return the id of each.

        Raises:
            UserError: they aren't taken, with the engine's reason.
        """
        ...

    def states(self, ids: Collection[str]) -> Mapping[str, State]:
        """Return how jobs are; those that the engine doesn't know any more are over.

        Raises:
            EngineAwayError: the engine doesn't answer now.
        """
        ...

    def cancel(self, ids: Collection[str]) -> None:
        """End jobs, those that run and those that wait."""
        ...

    def log_of(self, job: str) -> str:
        """Return where to read what a job has said."""
        ...


def need_package(name: str, setting: str) -> None:
    """Refuse an engine whose library isn't installed.

    Raises:
        UserError: with the command that installs it.
    """
    if find_spec(name) is None:
        extra = setting.rpartition("=")[2]
        raise UserError(
            f"{setting}: {name} isn't installed. Say `pip install --editable '.[{extra}]'`."
        )
