"""The words of a command that say where its runs are, such as `root=FOLDER`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.config.options import project_root
from pipeline.config.schema import TrackingConfig
from pipeline.errors import UserError

__all__ = ["Place", "make_parser", "parse", "take_place"]

KEYS = ("root", "tracking.uri", "tracking.experiment_name")

PLACE_HELP = "Where the runs are: root=FOLDER (default: this one), tracking.uri=ADDRESS."
"""For the help of commands that take these words."""


@dataclass(frozen=True)
class Place:
    """Where runs are tracked."""

    root: Path
    """Absolute; mlflow.db and mlruns/ lie there."""
    tracking: TrackingConfig
    named: str | None = None
    """The experiment, if it was named."""

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
    named = said.get("tracking.experiment_name")
    place = Place.at(
        said.get("root"), said.get("tracking.uri"), named or TrackingConfig.experiment_name
    )
    return others, replace(place, named=named)


def make_parser(name: str, description: str | None) -> argparse.ArgumentParser:
    """Return the parser of a command such as `python -m pipeline.compare`.

    Args:
        name: of the command.
        description: printed as it is.
    """
    return argparse.ArgumentParser(
        prog=f"python -m pipeline.{name}",
        description=description,
        epilog=PLACE_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def parse(parser: argparse.ArgumentParser) -> tuple[argparse.Namespace, Place]:
    """Return what was typed, and where it says that runs are; end with an error if that is bad."""
    try:
        words, place = take_place(sys.argv[1:])
    except UserError as error:
        sys.exit(f"error: {error}")
    return parser.parse_args(words), place
