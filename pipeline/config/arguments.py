"""The words of a command that say where its runs are, such as `root=FOLDER`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.config.options import project_root
from pipeline.config.schema import TrackingConfig

__all__ = ["PLACE_HELP", "Place", "take_place"]

KEYS = ("root", "tracking.uri", "tracking.experiment_name")

PLACE_HELP = "Where the runs are: root=FOLDER (default: this one), tracking.uri=ADDRESS."
"""For the help of commands that take these words."""


@dataclass(frozen=True)
class Place:
    """Where runs are tracked."""

    root: Path
    """Absolute; mlflow.db and mlruns/ lie there."""
    tracking: TrackingConfig

    @classmethod
    def at(
        cls,
        root: Path | str | None = None,
        uri: str | None = None,
        experiment_name: str = TrackingConfig.experiment_name,
    ) -> Place:
        """Return a place; by default that of the main command.

        Raises:
            UserError: the address is none of a tracking store.
        """
        folder = Path(root or project_root()).expanduser().absolute()
        return cls(folder, TrackingConfig(uri=uri, experiment_name=experiment_name))


def take_place(arguments: Sequence[str]) -> tuple[list[str], Place]:
    """Take the words that say where runs are out of a command's arguments.

    >>> take_place(["last", "tracking.experiment_name=mnist", "--csv"])[0]
    ['last', '--csv']

    Args:
        arguments: as typed, less the command's own name.

    Returns:
        The other words in their order, and the place; by default that of the main command.

    Raises:
        UserError: the address is none of a tracking store.
    """
    said: dict[str, str] = {}
    others: list[str] = []
    for word in arguments:
        key, equals, value = word.partition("=")
        if equals and key in KEYS:
            said[key] = value
        else:
            others.append(word)
    place = Place.at(
        said.get("root"),
        said.get("tracking.uri"),
        said.get("tracking.experiment_name", TrackingConfig.experiment_name),
    )
    return others, place
