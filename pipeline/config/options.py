"""Names that a user can choose from: where conf/ lies, its options, how messages name them."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from functools import cache
from pathlib import Path

from pipeline.errors import UserError

__all__ = ["conf_dir", "did_you_mean", "listed", "one_of", "options", "project_root"]

MAX_LISTED = 20
"""Names that a message lists, at most."""


def conf_dir() -> Path:
    """Return the folder of the YAML files: inside an installed package, beside it in a checkout."""
    package = Path(__file__).parent.parent
    installed = package / "conf"
    return installed if installed.is_dir() else package.parent / "conf"


def project_root() -> Path:
    """Return the checkout's folder, or the current one when the package is installed elsewhere."""
    checkout = Path(__file__).parent.parent.parent
    return checkout if (checkout / "pyproject.toml").is_file() else Path.cwd()


@cache
def options(group: str) -> tuple[str, ...]:
    """Return the options of a group of conf/, sorted: its YAML files' names."""
    return tuple(sorted(path.stem for path in (conf_dir() / group).glob("*.yaml")))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return " Did you mean …?" for the known name that is nearest, or "" if none is near."""
    by_lowercase = {other.lower(): other for other in known}
    nearest = get_close_matches(name.lower(), by_lowercase, n=1)
    return f" Did you mean {by_lowercase[nearest[0]]}?" if nearest else ""


def listed(names: Iterable[str], at_most: int = MAX_LISTED) -> str:
    """Return names as a sentence lists them: "a, b and 8 others" if there are more than so many."""
    known = list(names)
    others = len(known) - at_most
    return ", ".join(known[:at_most]) + (f" and {others:,} others" if others > 0 else "")


def one_of(key: str, value: str, known: Iterable[str]) -> None:
    """Check that a value is one of the known names.

    Raises:
        UserError: it isn't; the message lists the known ones and suggests the nearest.
    """
    names = list(known)
    if value not in names:
        raise UserError(
            f"{key}={value}: must be one of {', '.join(names)}.{did_you_mean(value, names)}"
        )
