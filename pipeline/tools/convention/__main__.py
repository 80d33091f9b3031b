"""The command: translate settings, or show the tables."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from rich.console import Console

from pipeline.errors import UserError
from pipeline.tools.convention.dialects import DIALECTS, OURS
from pipeline.tools.convention.ours import overrides_of, settings_of
from pipeline.tools.convention.reading import read
from pipeline.tools.convention.text import LETTERS, document, parse, table, typed
from pipeline.tools.convention.writing import write

__all__ = ["from_others", "main", "to_others"]

DESCRIPTION = """Translate settings of other libraries into overrides of ours, and back. Without
settings: show the tables by which it does, of all libraries or of the named one."""

EPILOG = (
    """example: python -m pipeline.convention --from nielsen lambda=5 n=50000 eta=0.5 batch=10"""
)


def from_others(name: str, arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return overrides of ours that mean what a library's settings mean, and remarks.

    Args:
        name: of DIALECTS.
        arguments: the library's settings, as key=value.

    Raises:
        UserError: a setting is unknown, out of range or can't be translated, or one is missing.
    """
    dialect = DIALECTS[name]
    settings, remarks = write(read(dialect, parse(arguments)), dialect, OURS)
    return typed(overrides_of(settings)), remarks


def to_others(name: str, overrides: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return a library's settings that mean what overrides of ours mean, and remarks.

    Args:
        name: of DIALECTS.
        overrides: as `python -m pipeline` takes them; `classes=NUMBER` may be among them.

    Raises:
        UserError: the overrides make no config, or can't be translated, or one is missing.
    """
    settings, remarks = write(read(OURS, settings_of(overrides)), OURS, DIALECTS[name])
    return typed(settings), remarks


def main() -> None:
    """Print the translation, remarks on standard error; or the tables."""
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.convention", description=DESCRIPTION, epilog=EPILOG
    )
    parser.add_argument("settings", nargs="*", metavar="KEY=VALUE", help="what to translate")
    direction = parser.add_mutually_exclusive_group()
    direction.add_argument(
        "--from", dest="source", choices=DIALECTS, help="whose settings they are"
    )
    direction.add_argument("--to", dest="target", choices=DIALECTS, help="whose are wanted of ours")
    parser.add_argument("--markdown", action="store_true", help="print docs/conventions.md")
    arguments = parser.parse_args()
    name: str | None = arguments.source or arguments.target
    settings: list[str] = arguments.settings
    if not settings:
        show(name, markdown=arguments.markdown)
        return
    if name is None:
        parser.error("say --from or --to, and which library")
    translate = from_others if arguments.source else to_others
    try:
        translated, remarks = translate(name, settings)
    except UserError as error:
        sys.exit(f"error: {error}")
    print(" ".join(translated))
    for remark in remarks:
        print(remark, file=sys.stderr)


def show(name: str | None, *, markdown: bool) -> None:
    """Print the tables of all libraries or of one, or the page of the documentation."""
    if markdown:
        print(document(), end="")
        return
    console = Console(width=None if sys.stdout.isatty() else 140, markup=False, highlight=False)
    for dialect in [DIALECTS[name]] if name else DIALECTS.values():
        console.print(table(dialect))
        for note in dialect.notes:
            console.print(note)
        console.print()
    console.print(LETTERS)


if __name__ == "__main__":
    main()
